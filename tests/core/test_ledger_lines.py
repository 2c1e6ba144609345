"""The journal's lines: whole or nothing, and never passed over."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
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
    decode,
    encode,
)
from filesync._model import CommittedFile, Kind, Origin
from filesync.exceptions import JournalError
from strategies import entries
from support.ledgers import LOG, OTHER, committed
from support.pieces import P0, P1

#: One entry of each kind, each with everything that it may hold.
EVERYTHING: Sequence[Entry] = (
    LOG,
    FileCommitted(
        file=CommittedFile(
            name="zones/é\n.yaml",
            kind=Kind.CONFIG,
            digest=bytes(range(32)),
            size=1 << 40,
            sequence=17,
            origin=Origin(source=P0, offset=1 << 50, timestamp=1.25, generation=10**20 - 1),
        ),
        positions={P1: 7, P0: 1 << 50},
        epoch=0,
    ),
    FileCommitted(file=committed("a", 18), positions={}, epoch=0),
    FileConfirmed(name="a", sequence=3, origin=Origin(source=P1, offset=5), epoch=0),
    PositionsSaved(positions={P0: 9, OTHER: 0}, epoch=3),
    PositionsForgotten(source=P1, epoch=4),
    LogSeen(topic="other", topic_id=None, cluster_id=None, epoch=4),
    EpochBegun(epoch=5),
    Served(sequence=18),
)


def line(text: bytes) -> bytes:
    """Return *text* as a line with the checksum that it should have."""
    return b"%08x %s\n" % (zlib.crc32(text), text)


def whole_lines(data: bytes, length: int) -> tuple[int, int]:
    """Return how many lines of *data* are whole in its first *length* bytes, and their size."""
    lines = data[:length].count(b"\n")
    return lines, data[:length].rfind(b"\n") + 1


def test_a_line_is_a_checksum_and_json() -> None:
    """The format on disk, byte by byte: other versions of filesync read it."""
    assert encode(Served(sequence=18)) == b'd599353f {"v":1,"served":18}\n'
    assert all(encode(entry).isascii() for entry in EVERYTHING)
    assert [json.loads(encode(entry)[9:]) for entry in EVERYTHING] == [
        {"v": 1, "log": ["files", "id-1", "c-1"], "epoch": 0},
        {
            "v": 1,
            "file": {
                "name": "zones/é\n.yaml",
                "kind": "config",
                "sha256": bytes(range(32)).hex(),
                "size": 1 << 40,
                "sequence": 17,
                "origin": ["files", 0, 1 << 50, 1.25, 10**20 - 1],
            },
            "positions": [["files", 0, 1 << 50], ["files", 1, 7]],
            "epoch": 0,
        },
        {
            "v": 1,
            "file": {
                "name": "a",
                "kind": "data",
                "sha256": "00" * 32,
                "size": 3,
                "sequence": 18,
                "origin": None,
            },
            "positions": [],
            "epoch": 0,
        },
        {
            "v": 1,
            "same": ["a", 3],
            "origin": ["files", 1, 5, None, None],
            "epoch": 0,
        },
        {"v": 1, "positions": [["files", 0, 9], ["other", 0, 0]], "epoch": 3},
        {"v": 1, "forget": ["files", 1], "epoch": 4},
        {"v": 1, "log": ["other", None, None], "epoch": 4},
        {"v": 1, "epoch": 5},
        {"v": 1, "served": 18},
    ]


@given(history=st.lists(entries(), max_size=6))
def test_what_is_encoded_is_decoded(history: list[Entry]) -> None:
    """Each entry is one line of ASCII, and a journal of them says the same entries."""
    lines = [encode(entry) for entry in history]
    data = b"".join(lines)
    assert decode(data) == (history, len(data))
    assert all(one.isascii() and one.index(b"\n") == len(one) - 1 for one in lines)


def test_an_empty_journal_has_no_entries() -> None:
    """Nothing was written yet."""
    assert decode(b"") == ([], 0)


def test_a_tail_that_is_torn_at_any_byte_is_left_out() -> None:
    """Whole lines count, and what a crash left of the next one does not."""
    data = b"".join(map(encode, EVERYTHING))
    for length in range(len(data) + 1):
        lines, size = whole_lines(data, length)
        assert decode(data[:length]) == (list(EVERYTHING[:lines]), size)


def test_a_flipped_bit_ends_the_journal_before_its_line() -> None:
    """Damage anywhere is noticed; the lines before it count, it and what follows do not."""
    data = b"".join(map(encode, EVERYTHING))
    for index in range(len(data)):
        lines, size = whole_lines(data, index)
        for bit in range(8):
            damaged = bytearray(data)
            damaged[index] ^= 1 << bit
            assert decode(bytes(damaged)) == (list(EVERYTHING[:lines]), size), (index, bit)


@pytest.mark.parametrize("byte", [b"\n", b" ", b"\0", b"0", b""])
def test_a_replaced_or_lost_byte_ends_the_journal_before_its_line(byte: bytes) -> None:
    """Neither a line cut in two nor a hole passes for a line."""
    data = b"".join(map(encode, EVERYTHING))
    for index in range(len(data)):
        if data[index : index + 1] != byte:
            lines, size = whole_lines(data, index)
            damaged = data[:index] + byte + data[index + 1 :]
            assert decode(damaged) == (list(EVERYTHING[:lines]), size), index


@given(history=st.lists(entries(), max_size=3), tail=st.binary(max_size=40))
def test_what_follows_a_torn_line_was_never_acknowledged(history: list[Entry], tail: bytes) -> None:
    """Bytes behind the last whole line change nothing of what stands before them."""
    data = b"".join(map(encode, history))
    torn = encode(Served(sequence=1))[:-1]
    later = encode(Served(sequence=2))
    assert decode(data + torn + tail.replace(b"\n", b"") + later) == (history, len(data))


def test_a_file_system_full_of_zeros_is_a_torn_tail() -> None:
    """After a power failure a file may be longer than what reached the disk."""
    data = encode(LOG)
    assert decode(data + bytes(4096)) == ([LOG], len(data))
    assert decode(data + bytes(100) + b"\n") == ([LOG], len(data))


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"v": 2, "served": 18}, id="of-version-2"),
        pytest.param({"served": 18}, id="of-no-version"),
        pytest.param({"v": 1, "wanted": 18}, id="of-an-unknown-kind"),
        pytest.param({"v": 1, "log": ["files"], "epoch": 0}, id="a-log-without-ids"),
        pytest.param({"v": 1, "positions": []}, id="positions-of-no-epoch"),
        pytest.param({"v": 1, "same": ["a", 3], "epoch": 0}, id="the-same-from-nowhere"),
        pytest.param([1], id="a-list"),
    ],
)
def test_an_entry_of_a_newer_filesync_is_not_passed_over(body: Any) -> None:
    """To ignore it could lose a need or a file: the operator decides."""
    data = encode(LOG) + line(json.dumps(body).encode())
    with pytest.raises(JournalError) as caught:
        decode(data)
    assert str(caught.value) == (
        f"the journal has an entry that this version does not know: {body}; "
        "run the filesync that wrote it, or remove .filesync/journal "
        "to read the topic from its start again"
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"served 18", id="no-json"),
        pytest.param(b'"\xff"', id="no-text"),
        pytest.param(b'{"v":1,"file":{},"positions":[],"epoch":0}', id="a-file-of-nothing"),
        pytest.param(b'{"v":1,"file":[],"positions":[],"epoch":0}', id="a-file-that-is-a-list"),
        pytest.param(b'{"v":1,"positions":[["files",0]],"epoch":0}', id="half-a-position"),
        pytest.param(b'{"v":1,"positions":7,"epoch":0}', id="positions-that-are-none"),
        pytest.param(b'{"v":1,"same":["a",1],"origin":null,"epoch":0}', id="the-same-from-nowhere"),
        pytest.param(
            encode(EVERYTHING[1])[9:-1].replace(b'"config"', b'"zone"'), id="an-unknown-kind"
        ),
        pytest.param(
            encode(EVERYTHING[1])[9:-1].replace(b'"000102', b'"xx0102'), id="a-digest-that-is-none"
        ),
        pytest.param(
            encode(EVERYTHING[1])[9:-1].replace(b"1.25,", b""), id="an-origin-of-four-parts"
        ),
    ],
)
def test_a_sound_line_that_is_no_entry_is_told_as_such(text: bytes) -> None:
    """A journal that somebody edited stops the start with one clear line, not with a traceback."""
    with pytest.raises(JournalError, match=r"remove \.filesync/journal"):
        decode(encode(LOG) + line(text))


def test_a_line_that_is_no_entry_is_shown_in_part() -> None:
    """Enough of it to be found, however long it is."""
    text = b"x" * 201
    with pytest.raises(JournalError) as caught:
        decode(line(text))
    assert str(caught.value) == (
        f"the journal has a line that is no entry: {text[:200]!r}; "
        "run the filesync that wrote it, or remove .filesync/journal "
        "to read the topic from its start again"
    )
