"""The journal's lines: whole or nothing, in any interleaving, before and after compaction."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filesync._ledger import (
    Entry,
    EpochBegun,
    FileCommitted,
    FileConfirmed,
    Ledger,
    LogSeen,
    PositionsForgotten,
    PositionsSaved,
    Served,
    decode,
    encode,
    replay,
    snapshot,
)
from filesync._model import CommittedFile, Kind, Origin, TopicPartition
from filesync.exceptions import JournalError
from strategies import entries, histories

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)
OTHER = TopicPartition("other", 0)

LOG = LogSeen(topic="files", topic_id="id-1", cluster_id="c-1", epoch=0)


def committed(
    name: str, sequence: int, origin: Origin | None = None, digest: bytes = bytes(32)
) -> CommittedFile:
    """Return a committed data file."""
    return CommittedFile(
        name=name, kind=Kind.DATA, digest=digest, size=3, sequence=sequence, origin=origin
    )


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


def replayed(history: Iterable[Entry]) -> Ledger:
    """Return the ledger that *history* adds up to."""
    return reduce(replay, history, Ledger())


def meaning(ledger: Ledger) -> Ledger:
    """Return *ledger* without what nobody asks for: when a log was first seen."""
    logs = {topic: evolve(log, epoch=0) for topic, log in ledger.logs.items()}
    return evolve(ledger, logs=logs)


def line(text: bytes) -> bytes:
    """Return *text* as a line with the checksum that it should have."""
    return b"%08x %s\n" % (zlib.crc32(text), text)


def whole_lines(data: bytes, length: int) -> tuple[int, int]:
    """Return how many lines of *data* are whole in its first *length* bytes, and their size."""
    lines = data[:length].count(b"\n")
    return lines, data[:length].rfind(b"\n") + 1


# Lines


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


# What entries add up to


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (("id-1", "c-1"), ("id-1", "c-1"), True),
        (("id-1", "c-1"), ("id-2", "c-1"), False),
        (("id-1", "c-1"), ("id-1", "c-2"), True),
        (("id-1", "c-1"), (None, "c-1"), True),
        (("id-1", "c-1"), (None, "c-2"), False),
        (("id-1", None), (None, "c-1"), True),
        (("id-1", None), ("id-1", "c-1"), True),
        (("id-1", None), ("id-2", None), False),
        ((None, "c-1"), (None, "c-1"), True),
        ((None, "c-1"), (None, "c-2"), False),
        ((None, None), ("id-1", "c-1"), True),
        ((None, None), (None, None), True),
    ],
)
def test_a_log_is_another_one_when_an_id_that_both_know_differs(
    left: tuple[str | None, str | None], right: tuple[str | None, str | None], same: bool
) -> None:
    """The topic's id decides; where one side cannot tell it, the cluster's does."""
    one, two = (
        LogSeen(topic="files", topic_id=topic_id, cluster_id=cluster_id, epoch=0)
        for topic_id, cluster_id in (left, right)
    )
    assert one.is_same_log(two) is same
    assert two.is_same_log(one) is same


def test_the_newest_version_of_each_file_counts() -> None:
    """A later commit takes the place of an earlier one, others stay."""
    a1, b2, a3 = committed("a", 1), committed("b", 2), committed("a", 3, digest=b"\1" * 32)
    ledger = replayed(FileCommitted(file=file, positions={}, epoch=0) for file in (a1, b2, a3))
    assert ledger.files == {"a": a3, "b": b2}
    assert ledger.sequence == 3


def test_a_need_ends_only_by_an_action_that_covers_it() -> None:
    """Files above the served sequence want an action, the oldest commit first."""
    files = [committed("b", 1), committed("c", 2), committed("a", 3)]
    history: list[Entry] = [FileCommitted(file=file, positions={}, epoch=0) for file in files]
    assert [file.name for file in replayed(reversed(history)).needs] == ["b", "c", "a"]
    assert [file.name for file in replayed([*history, Served(sequence=1)]).needs] == ["c", "a"]
    assert replayed([*history, Served(sequence=3)]).needs == ()
    assert replayed([*history, Served(sequence=3), Served(sequence=1)]).needs == ()


def test_of_two_positions_the_larger_holds() -> None:
    """Every claim stays true, in whatever order claims become durable."""
    claims: list[Entry] = [
        PositionsSaved(positions={P0: 9, P1: 1}, epoch=0),
        FileCommitted(file=committed("a", 1), positions={P0: 7, P1: 3}, epoch=0),
        PositionsSaved(positions={OTHER: 0}, epoch=0),
    ]
    assert replayed(claims).positions == {P0: 9, P1: 3, OTHER: 0}
    assert replayed(reversed(claims)).positions == {P0: 9, P1: 3, OTHER: 0}


def test_a_file_that_is_sent_again_is_as_new_as_that() -> None:
    """Its origin moves on; nothing else does, and no action is wanted."""
    before = replayed(
        [
            FileCommitted(
                file=committed("a", 1, Origin(source=P0, offset=3)), positions={}, epoch=0
            ),
            FileCommitted(file=committed("b", 2), positions={P0: 4}, epoch=0),
            Served(sequence=2),
        ]
    )
    again = Origin(source=P1, offset=9, timestamp=2.5, generation=7)
    confirmed = FileConfirmed(name="a", sequence=1, origin=again, epoch=0)
    after = replay(before, confirmed)
    assert after == evolve(
        before, files={"a": evolve(before.files["a"], origin=again), "b": before.files["b"]}
    )
    assert replay(before, evolve(confirmed, name="c")) == before
    assert replay(before, evolve(confirmed, epoch=1)) == before
    assert replay(before, evolve(confirmed, sequence=2)) == before


def anew() -> Ledger:
    """Return a ledger with positions in two topics, and files from three partitions."""
    files = [
        committed("p0", 1, Origin(source=P0, offset=3)),
        committed("p1", 2, Origin(source=P1, offset=4)),
        committed("other", 3, Origin(source=OTHER, offset=5)),
        committed("none", 4),
    ]
    return replayed(
        [
            LOG,
            LogSeen(topic="other", topic_id="id-9", cluster_id="c-1", epoch=0),
            PositionsSaved(positions={P0: 10, P1: 11, OTHER: 12}, epoch=0),
            *(FileCommitted(file=file, positions={}, epoch=0) for file in files),
            Served(sequence=2),
        ]
    )


def origins(ledger: Ledger) -> dict[str, int | None]:
    """Return by name the offset that each file came from."""
    return {
        name: None if file.origin is None else file.origin.offset
        for name, file in ledger.files.items()
    }


@pytest.mark.parametrize(
    ("entry", "positions", "known"),
    [
        pytest.param(
            evolve(LOG, topic_id="id-2", epoch=1),
            {OTHER: 12},
            {"p0": None, "p1": None, "other": 5, "none": None},
            id="another-topic-of-the-same-name",
        ),
        pytest.param(
            evolve(LOG, topic_id=None, cluster_id="c-2", epoch=1),
            {OTHER: 12},
            {"p0": None, "p1": None, "other": 5, "none": None},
            id="another-cluster",
        ),
        pytest.param(
            PositionsForgotten(source=P0, epoch=1),
            {P1: 11, OTHER: 12},
            {"p0": None, "p1": 4, "other": 5, "none": None},
            id="a-cut-partition",
        ),
        pytest.param(
            LogSeen(topic="new", topic_id="id-3", cluster_id="c-1", epoch=1),
            {P0: 10, P1: 11, OTHER: 12},
            {"p0": 3, "p1": 4, "other": 5, "none": None},
            id="a-topic-seen-for-the-first-time",
        ),
        pytest.param(
            evolve(LOG, epoch=1),
            {P0: 10, P1: 11, OTHER: 12},
            {"p0": 3, "p1": 4, "other": 5, "none": None},
            id="the-same-log-again",
        ),
    ],
)
def test_a_log_that_starts_anew_voids_its_order_and_no_other(
    entry: Entry, positions: dict[TopicPartition, int], known: dict[str, int | None]
) -> None:
    """Positions and origins of that log are forgotten; files and needs never are."""
    before = anew()
    after = replay(before, entry)
    assert after.positions == positions
    assert origins(after) == known
    assert after.epoch == 1
    assert (after.served, after.sequence) == (before.served, before.sequence)
    assert [file.name for file in after.needs] == ["other", "none"]
    assert {name: evolve(file, origin=None) for name, file in after.files.items()} == {
        name: evolve(file, origin=None) for name, file in before.files.items()
    }


def test_origins_are_voided_though_no_position_was_saved() -> None:
    """A file that came from the old log is as old as can be, position or not."""
    file = committed("a", 1, Origin(source=P0, offset=3))
    commit = FileCommitted(file=file, positions={}, epoch=0)
    ledger = replayed([LOG, commit, evolve(LOG, topic_id="id-2", epoch=1)])
    assert origins(ledger) == {"a": None}


@pytest.mark.parametrize("epoch", [0, 2], ids=["older", "newer"])
def test_positions_and_origins_of_another_epoch_never_count(epoch: int) -> None:
    """A commit that was under way when the log changed is a file, and no more than that."""
    before = replay(anew(), PositionsForgotten(source=P0, epoch=1))
    file = committed("p0", 5, Origin(source=P0, offset=3), digest=b"\1" * 32)
    after = replay(before, FileCommitted(file=file, positions={P0: 500, P1: 500}, epoch=epoch))
    assert after.positions == before.positions
    assert after.files["p0"] == evolve(file, origin=None)
    assert after.sequence == 5
    assert after.epoch == 1
    saved = PositionsSaved(positions={P0: 500, P1: 500}, epoch=epoch)
    assert replay(before, saved) == before
    origin = Origin(source=P0, offset=3)
    confirmed = FileConfirmed(name="p0", sequence=5, origin=origin, epoch=epoch)
    assert replay(before, confirmed) == before


def test_positions_and_origins_of_this_epoch_count() -> None:
    """What was planned after the log changed is good."""
    before = replay(anew(), PositionsForgotten(source=P0, epoch=1))
    file = committed("p0", 5, Origin(source=P0, offset=0))
    after = replay(before, FileCommitted(file=file, positions={P0: 1}, epoch=1))
    assert after.positions == {P0: 1, P1: 11, OTHER: 12}
    assert after.files["p0"] == file
    assert replay(after, PositionsSaved(positions={P0: 2}, epoch=1)).positions[P0] == 2


def test_an_epoch_never_ends_by_an_older_one() -> None:
    """An entry that had to be written again comes late: what is newer stays in force."""
    begun = replayed([LOG, EpochBegun(epoch=2)])
    assert begun.epoch == 2
    late: Sequence[Entry] = (
        PositionsForgotten(source=P0, epoch=1),
        evolve(LOG, topic_id="id-2", epoch=1),
        EpochBegun(epoch=1),
    )
    assert [replay(begun, entry).epoch for entry in late] == [2, 2, 2]


@given(history=histories(), entry=entries())
def test_an_entry_that_is_written_twice_counts_once(history: list[Entry], entry: Entry) -> None:
    """An append that failed after its bytes were written is done again."""
    once = replay(replayed(history), entry)
    assert replay(once, entry) == once


@given(history=histories())
def test_nothing_durable_is_lost_but_by_its_own_entry(history: list[Entry]) -> None:
    """Files, the served sequence, the sequence and the epoch never go back."""
    ledger = Ledger()
    for entry in history:
        after = replay(ledger, entry)
        assert after.files.keys() >= ledger.files.keys()
        assert after.served >= ledger.served
        assert after.sequence >= ledger.sequence
        assert after.epoch >= ledger.epoch
        if not isinstance(entry, LogSeen | PositionsForgotten):
            assert all(after.positions[key] >= at for key, at in ledger.positions.items())
        ledger = after


# Compaction


@given(history=histories(), later=st.lists(entries(), max_size=4))
def test_a_compacted_journal_says_the_same(history: list[Entry], later: list[Entry]) -> None:
    """The snapshot replays to the same ledger, and to the same one after what comes later."""
    seen = [LOG, *history]
    ledger = replayed(seen)
    compacted, size = decode(b"".join(map(encode, snapshot(ledger))))
    assert size == len(b"".join(map(encode, snapshot(ledger))))
    assert meaning(replayed(compacted)) == meaning(ledger)
    assert meaning(replayed([*compacted, *later])) == meaning(replayed([*seen, *later]))


@given(history=histories())
def test_a_snapshot_has_one_entry_for_each_thing(history: list[Entry]) -> None:
    """It grows with what there is, not with what happened, and a second one changes nothing."""
    ledger = replayed([LOG, *history])
    compacted = snapshot(ledger)
    assert len(compacted) <= len(ledger.logs) + len(ledger.files) + 3
    assert snapshot(replayed(compacted)) == compacted


def test_an_epoch_survives_compaction_without_a_log() -> None:
    """Positions count after compaction even if the entry that names their log was never saved."""
    ledger = replayed(
        [PositionsForgotten(source=P0, epoch=1), PositionsSaved(positions={P0: 5}, epoch=1)]
    )
    assert ledger.positions == {P0: 5}
    assert replayed(snapshot(ledger)) == ledger


def test_the_snapshot_of_nothing_is_nothing() -> None:
    """An empty ledger is compacted to an empty one."""
    assert Ledger() == Ledger(files={}, positions={}, logs={}, served=0, sequence=0, epoch=0)
    assert replayed(snapshot(Ledger())) == Ledger()
    assert len(snapshot(Ledger())) <= 2


# The engine is ahead of the journal, and commits are beside both


@frozen
class Plan:
    """A commit that is under way: what its entry will be, but for the sequence."""

    name: str
    origin: Origin
    positions: dict[TopicPartition, int]
    epoch: int


class EngineAndJournal(RuleBasedStateMachine):
    """
    The engine's entries are written in order, but late; commits come in between, at any time.

    Each time a partition starts anew its offsets are lower than all before,
    so that an offset tells which log it is of, and a stale one would win.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0
        self.topic_id = 1
        self.logs = dict.fromkeys((P0, P1), 0)
        self.written_logs = dict(self.logs)
        self.next = {source: self.base(0) for source in self.logs}
        self.outbox: list[Entry] = []
        self.plans: list[Plan] = []
        self.files: dict[str, int] = {}
        self.served = 0
        self.sequence = 0
        self.journal = encode(LOG)
        self.ledger = replayed([LOG])

    @staticmethod
    def base(log: int) -> int:
        """Return the first offset of the *log*-th log of a partition."""
        return 1_000_000 - 1_000 * log

    def append(self, entry: Entry) -> None:
        """Make *entry* durable."""
        self.journal += encode(entry)
        self.ledger = replay(self.ledger, entry)

    def begin(self, source: TopicPartition) -> None:
        """Let *source* start anew, as the engine sees it."""
        self.logs[source] += 1
        self.next[source] = self.base(self.logs[source])

    @rule()
    def recreate(self) -> None:
        """The topic is another one."""
        self.epoch += 1
        self.topic_id += 1
        for source in self.logs:
            self.begin(source)
        self.outbox.append(evolve(LOG, topic_id=f"id-{self.topic_id}", epoch=self.epoch))

    @rule(source=st.sampled_from((P0, P1)))
    def cut(self, source: TopicPartition) -> None:
        """A partition is shorter than it was."""
        self.epoch += 1
        self.begin(source)
        self.outbox.append(PositionsForgotten(source=source, epoch=self.epoch))

    @rule()
    def save_positions(self) -> None:
        """The engine says how far it came."""
        self.outbox.append(PositionsSaved(positions=dict(self.next), epoch=self.epoch))

    @rule()
    def serve(self) -> None:
        """An action covered all that is committed."""
        self.outbox.append(Served(sequence=self.sequence))

    @rule(name=st.sampled_from("ab"), source=st.sampled_from((P0, P1)))
    def plan(self, name: str, source: TopicPartition) -> None:
        """A transfer is whole, and its commit starts."""
        origin = Origin(source=source, offset=self.next[source])
        self.next[source] += 1
        self.plans.append(Plan(name, origin, dict(self.next), self.epoch))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """One of the commits under way becomes durable."""
        plan = self.plans.pop(data.draw(st.integers(0, len(self.plans) - 1)))
        self.sequence += 1
        self.files[plan.name] = self.sequence
        file = committed(plan.name, self.sequence, plan.origin)
        self.append(FileCommitted(file=file, positions=plan.positions, epoch=plan.epoch))

    @precondition(lambda self: self.files)
    @rule(data=st.data(), source=st.sampled_from((P0, P1)))
    def confirm(self, data: st.DataObject, source: TopicPartition) -> None:
        """What is there is sent again."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        origin = Origin(source=source, offset=self.next[source])
        self.next[source] += 1
        confirmed = FileConfirmed(
            name=name, sequence=self.files[name], origin=origin, epoch=self.epoch
        )
        self.outbox.append(confirmed)

    @precondition(lambda self: self.outbox)
    @rule()
    def write(self) -> None:
        """The oldest of the engine's entries becomes durable."""
        entry = self.outbox.pop(0)
        self.append(entry)
        match entry:
            case LogSeen():
                self.written_logs = {source: log + 1 for source, log in self.written_logs.items()}
            case PositionsForgotten(source=source):
                self.written_logs[source] += 1
            case Served(sequence=sequence):
                self.served = max(self.served, sequence)
            case _:
                pass

    @rule()
    def compact(self) -> None:
        """The journal is rewritten."""
        self.journal = b"".join(map(encode, snapshot(self.ledger)))

    @rule()
    def restart(self) -> None:
        """What is found on disk is what was known."""
        found, size = decode(self.journal)
        assert size == len(self.journal)
        assert meaning(replayed(found)) == meaning(self.ledger)
        self.ledger = replayed(found)

    @invariant()
    def no_stale_position_or_origin_counts(self) -> None:
        """State that every offset is of the log that the journal has come to."""
        origins = [file.origin for file in self.ledger.files.values() if file.origin is not None]
        offsets = [(origin.source, origin.offset) for origin in origins]
        for source, offset in (*self.ledger.positions.items(), *offsets):
            base = self.base(self.written_logs[source])
            assert base <= offset < base + 1_000

    @invariant()
    def every_commit_and_need_is_known(self) -> None:
        """State that no change of a log loses a file or a need."""
        assert {name: file.sequence for name, file in self.ledger.files.items()} == self.files
        needs = sorted(sequence for sequence in self.files.values() if sequence > self.served)
        assert [file.sequence for file in self.ledger.needs] == needs

    @invariant()
    def in_the_end_both_agree(self) -> None:
        """State that a journal that caught up is where the engine is."""
        if not self.outbox:
            assert self.ledger.epoch == self.epoch
            assert self.ledger.logs["files"].topic_id == f"id-{self.topic_id}"
            assert self.written_logs == self.logs

    def teardown(self) -> None:
        """State that every history can be read again."""
        self.restart()


TestEngineAndJournal = EngineAndJournal.TestCase
