"""What the journal's entries add up to, before and after compaction."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

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
from filesync._model import Origin, TopicPartition
from strategies import entries, histories
from support.ledgers import LOG, OTHER, committed, meaning, origins, replayed
from support.pieces import P0, P1

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
