"""What hypothesis draws from: hostile headers and names, transfers, journals."""

from __future__ import annotations

from attrs import evolve
from hypothesis import strategies as st

from filesync._ledger import (
    Entry,
    EpochBegun,
    FileCommitted,
    FileConfirmed,
    LogSeen,
    PositionsForgotten,
    PositionsSaved,
    Served,
)
from filesync._model import (
    Claims,
    CommittedFile,
    Headers,
    Kind,
    Origin,
    Record,
    TopicPartition,
)

__all__ = [
    "HEADER_NAMES",
    "SOURCES",
    "claims",
    "entries",
    "file_names",
    "header_values",
    "headers",
    "histories",
    "names",
    "origins",
    "positions",
    "records",
]

#: Every header that the wire format knows.
HEADER_NAMES = (
    "hostname",
    "files-name",
    "file-name",
    "total-chunks",
    "chunk-index",
    "transfer-id",
    "file-size",
    "file-sha256",
    "generation",
)

#: Few enough to meet again, of two topics.
SOURCES = (
    TopicPartition("files", 0),
    TopicPartition("files", 1),
    TopicPartition("other", 0),
)

_FILE_NAMES = ("a.rpz", "b/c.rpz", "d.yaml")

#: What a hostile or a clumsy sender writes where a number should be.
_ODD_NUMBERS = (
    b"0",
    b"-1",
    b"+1",
    b" 2",
    b"2 ",
    b"1_0",
    b"4/3",
    b"1.0",
    b"0x1",
    b"1e3",
    b"9" * 5000,
    b"2147483647",
    b"9999999999",
    b"10000000000",
    "\u0663".encode(),
    "\uff13".encode(),
    "\u00b3".encode(),
)

#: Pieces of names that climb, hide, collide, or only look as if they did.
_NAME_PIECES = (
    "..",
    ".",
    "/",
    "//",
    "/files",
    "/files/",
    "\\",
    "\0",
    "\n",
    "\x1b",
    "\x85",
    "\u2028",
    ".tmp",
    ".backup",
    ".chunks",
    ".filesync",
    "a",
    "b.rpz",
    "c.yaml",
    "x" * 100,
    "\u00e9",
    "e\u0301",
)


def file_names() -> st.SearchStrategy[str]:
    """Draw a name that nobody objects to, one or two parts long."""
    letters = st.characters(codec="utf-8", categories=["L", "N"])
    part = st.text(letters, min_size=1, max_size=20)
    return st.lists(part, min_size=1, max_size=2).map("/".join)


def names() -> st.SearchStrategy[str]:
    """Draw any name, most of them made of the pieces that attacks are made of."""
    # A str may hold half a surrogate pair: a name from a command line does.
    pieces = st.sampled_from(_NAME_PIECES) | st.text(st.characters(), max_size=5)
    return st.lists(pieces, max_size=6).map("".join)


def header_values() -> st.SearchStrategy[bytes | None]:
    """Draw the value of a header: sound, odd, or any bytes."""
    return st.one_of(
        st.none(),
        st.integers(1, 4).map(lambda number: b"%d" % number),
        st.sampled_from(_ODD_NUMBERS),
        st.binary(max_size=8),
        file_names().map(str.encode),
        st.binary(min_size=32, max_size=32).map(lambda digest: digest.hex().encode()),
    )


def headers() -> st.SearchStrategy[Headers]:
    """Draw headers in any order, repeated, missing, unknown or null."""
    name = st.sampled_from(HEADER_NAMES) | st.text(max_size=8)
    pairs: st.SearchStrategy[tuple[str, bytes | None]] = st.tuples(name, header_values())
    arbitrary = st.lists(pairs, max_size=10)
    # By chance alone the headers that every record needs would seldom be there.
    needed = st.sampled_from(
        [
            [],
            [("hostname", b"ns1"), ("files-name", b"a.rpz")],
            [("hostname", b"ns1"), ("file-name", b"a.rpz"), ("total-chunks", b"3")],
        ]
    )
    return st.tuples(needed, arbitrary).map(lambda both: [*both[0], *both[1]])


def records() -> st.SearchStrategy[Record]:
    """Draw a record that anybody may have written."""
    return st.builds(
        Record,
        source=st.sampled_from(SOURCES),
        offset=st.integers(0, 1 << 40),
        timestamp=st.none() | st.floats(0, 4e9),
        key=st.none() | st.binary(max_size=8),
        value=st.none() | st.binary(max_size=8),
        headers=headers(),
    )


def claims() -> st.SearchStrategy[Claims]:
    """Draw what a sender may say of a whole file, each thing or nothing."""
    return st.builds(
        Claims,
        transfer_id=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=64),
        size=st.none() | st.integers(0, 9_999_999_999),
        digest=st.none() | st.binary(min_size=32, max_size=32),
        generation=st.none() | st.integers(0, 10**20 - 1),
    )


def origins() -> st.SearchStrategy[Origin]:
    """Draw where a transfer started; few enough values to meet again."""
    return st.builds(
        Origin,
        source=st.sampled_from(SOURCES),
        offset=st.integers(0, 5),
        timestamp=st.none() | st.sampled_from([0.0, 1.5, 2.25]),
        generation=st.none() | st.integers(0, 2),
    )


def positions() -> st.SearchStrategy[dict[TopicPartition, int]]:
    """Draw the next offsets of some partitions."""
    return st.dictionaries(st.sampled_from(SOURCES), st.integers(0, 20))


def entries() -> st.SearchStrategy[Entry]:
    """Draw any journal entry."""
    sequence, epoch = st.integers(1, 20), st.integers(0, 3)
    committed = st.builds(
        CommittedFile,
        name=st.sampled_from(_FILE_NAMES),
        kind=st.sampled_from(Kind),
        digest=st.sampled_from([bytes(32), b"\xab" * 32]),
        size=st.integers(0, 1 << 40),
        sequence=sequence,
        origin=st.none() | origins(),
    )
    return st.one_of(
        st.builds(
            LogSeen,
            topic=st.sampled_from(sorted({source.topic for source in SOURCES})),
            topic_id=st.sampled_from([None, "id-1", "id-2"]),
            cluster_id=st.sampled_from([None, "c-1", "c-2"]),
            epoch=epoch,
        ),
        st.builds(FileCommitted, file=committed, positions=positions(), epoch=epoch),
        st.builds(
            FileConfirmed,
            name=st.sampled_from(_FILE_NAMES),
            sequence=sequence,
            origin=origins(),
            epoch=epoch,
        ),
        st.builds(PositionsSaved, positions=positions(), epoch=epoch),
        st.builds(PositionsForgotten, source=st.sampled_from(SOURCES), epoch=epoch),
        st.builds(EpochBegun, epoch=epoch),
        st.builds(Served, sequence=sequence),
    )


def histories() -> st.SearchStrategy[list[Entry]]:
    """Draw a journal from its first line on: sequences and epochs only grow."""
    return st.lists(entries(), max_size=10).map(_numbered)


def _numbered(drawn: list[Entry]) -> list[Entry]:
    sequence = epoch = 0
    history: list[Entry] = []
    for entry in drawn:
        match entry:
            case FileCommitted(file=file):
                # Of this epoch, or of an older one: it was under way when the log changed.
                sequence += 1
                file = evolve(file, sequence=sequence)
                history.append(evolve(entry, file=file, epoch=max(0, epoch - entry.epoch)))
            case PositionsSaved() | FileConfirmed():
                history.append(evolve(entry, epoch=epoch))
            case LogSeen() | PositionsForgotten() | EpochBegun():
                epoch += 1
                history.append(evolve(entry, epoch=epoch))
            case Served():
                history.append(Served(sequence=max(0, sequence - entry.sequence % 3)))
    return history
