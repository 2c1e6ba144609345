"""The keeper's ledger runs ahead of the journal, and never away from it."""

from __future__ import annotations

from typing import Any

import pytest

from filesync._effects import CommitOffsets, SaveJournal
from filesync._keeper import Keeper
from filesync._ledger import (
    Entry,
    FileCommitted,
    FileConfirmed,
    LogSeen,
    PositionsForgotten,
    PositionsSaved,
    Served,
)
from filesync._model import Origin
from filesync._outcomes import FaultSeen
from filesync.exceptions import InvalidTransitionError
from support.ledgers import committed, found, replayed
from support.pieces import P0, P1


def log(topic_id: str | None = "id-1", cluster_id: str | None = "c-1", epoch: int = 0) -> LogSeen:
    """Return what the journal says of the topic."""
    return LogSeen(topic="files", topic_id=topic_id, cluster_id=cluster_id, epoch=epoch)


def written(keeper: Keeper, save: SaveJournal | None) -> tuple[Entry, ...]:
    """Let *save* end well; return its entries."""
    assert save is not None
    assert keeper.saved(save.id, None) is None
    return save.entries


@pytest.fixture(name="keeper")
def _keeper() -> Keeper:
    """Return a keeper that has seen the log, and made that durable."""
    keeper = Keeper()
    assert written(keeper, keeper.log_seen(found())) == (log(),)
    return keeper


# The log


def test_a_log_is_saved_when_it_is_first_seen(keeper: Keeper) -> None:
    """Once for all of its partitions, at once in force."""
    assert keeper.ledger.logs == {"files": log()}
    assert keeper.log_seen(found()) is None
    assert keeper.log_seen(found(P1)) is None


def test_another_log_of_the_same_name_begins_an_epoch(keeper: Keeper) -> None:
    """Positions and origins of the old one are forgotten; files are not."""
    keeper.committed(committed("a", 1, Origin(source=P0, offset=3)))
    written(keeper, keeper.save_positions({P0: 4}))
    assert written(keeper, keeper.log_seen(found(topic_id="id-2"))) == (log("id-2", epoch=1),)
    assert keeper.ledger.epoch == 1
    assert keeper.ledger.positions == {}
    assert keeper.ledger.files == {"a": committed("a", 1)}
    assert keeper.log_seen(found(P1, topic_id="id-2")) is None


def test_each_other_log_is_an_epoch_of_its_own(keeper: Keeper) -> None:
    """Epochs count up, whichever way a log starts anew."""
    written(keeper, keeper.log_seen(found(topic_id="id-2")))
    written(keeper, keeper.log_cut(P0))
    assert written(keeper, keeper.log_seen(found(topic_id="id-3"))) == (log("id-3", epoch=3),)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param((None, "c-1"), ("id-1", "c-1"), id="topic"),
        pytest.param((None, None), ("id-1", "c-1"), id="both"),
        pytest.param((None, None), (None, "c-1"), id="cluster"),
        pytest.param(("id-1", None), ("id-1", "c-1"), id="cluster-beside-topic"),
    ],
)
def test_an_id_that_is_learned_later_is_saved(
    before: tuple[str | None, str | None], after: tuple[str | None, str | None]
) -> None:
    """Else another log could not be told from this one; positions stay."""
    keeper = Keeper()
    written(keeper, keeper.log_seen(found(P0, *before)))
    written(keeper, keeper.save_positions({P0: 4}))
    assert written(keeper, keeper.log_seen(found(P0, *after))) == (log(*after),)
    assert keeper.ledger.positions == {P0: 4}


@pytest.mark.parametrize(
    "after", [(None, "c-1"), (None, None), ("id-1", None)], ids=["topic", "both", "cluster"]
)
def test_an_id_that_cannot_be_told_now_is_not_forgotten(
    keeper: Keeper, after: tuple[str | None, str | None]
) -> None:
    """A broker that fails to say it does not make the log another one."""
    assert keeper.log_seen(found(P0, *after)) is None
    assert keeper.ledger.logs == {"files": log()}


def test_a_cut_partition_begins_an_epoch(keeper: Keeper) -> None:
    """Only what was known of that partition is void."""
    written(keeper, keeper.save_positions({P0: 4, P1: 5}))
    assert written(keeper, keeper.log_cut(P0)) == (PositionsForgotten(source=P0, epoch=1),)
    assert keeper.ledger.epoch == 1
    assert keeper.ledger.positions == {P1: 5}


# Files and actions


def test_a_commit_is_noted_and_not_written_again(keeper: Keeper) -> None:
    """Its plan wrote it; the positions that it wrote are not the keeper's to claim."""
    keeper.committed(committed("a", 1, Origin(source=P0, offset=3)))
    assert keeper.ledger.files == {"a": committed("a", 1, Origin(source=P0, offset=3))}
    assert keeper.ledger.positions == {}
    assert keeper.ledger.sequence == 1
    assert not keeper.saving
    assert keeper.save_positions({}) is None


def test_a_success_is_saved(keeper: Keeper) -> None:
    """Up to its sequence nothing wants an action any more."""
    keeper.committed(committed("a", 1))
    keeper.committed(committed("b", 2))
    assert written(keeper, keeper.served(1)) == (Served(sequence=1),)
    assert [file.name for file in keeper.ledger.needs] == ["b"]


def test_a_file_that_is_sent_again_is_saved_as_that_new(keeper: Keeper) -> None:
    """Else, after a restart, a version from before would pass for a newer one."""
    keeper.committed(committed("a", 1, Origin(source=P0, offset=3)))
    written(keeper, keeper.log_cut(P1))
    again = Origin(source=P0, offset=8, generation=7)
    assert written(keeper, keeper.confirmed("a", again)) == (
        FileConfirmed(name="a", sequence=1, origin=again, epoch=1),
    )
    assert keeper.ledger.files == {"a": committed("a", 1, again)}


@pytest.mark.parametrize(
    ("confirmed", "origin"),
    [
        pytest.param(
            {"source": P0, "offset": 8}, {"source": P0, "offset": 12}, id="in-one-partition"
        ),
        pytest.param({"source": P1, "offset": 8}, {"source": P0, "offset": 12}, id="in-two"),
        pytest.param({"source": P0, "offset": 8}, None, id="from-a-log-that-is-gone"),
    ],
)
def test_a_confirmation_that_is_late_does_not_make_a_newer_version_old(
    keeper: Keeper, confirmed: dict[str, Any], origin: dict[str, Any] | None
) -> None:
    """The next version's commit became durable first: it was not what was sent again."""
    first = committed("a", 1, Origin(source=P0, offset=4))
    second = committed("a", 2, None if origin is None else Origin(**origin))
    keeper.committed(first)
    save: SaveJournal | None = keeper.confirmed("a", Origin(**confirmed))
    keeper.committed(second)
    assert keeper.ledger.files == {"a": second}
    commits = [FileCommitted(file=file, positions={}, epoch=0) for file in (first, second)]
    assert replayed([log(), *commits, *written(keeper, save)]).files == {"a": second}


# Positions


def test_positions_are_saved_when_they_moved(keeper: Keeper) -> None:
    """Once, with the epoch that they are of; what the journal knows is not written again."""
    written(keeper, keeper.log_cut(P1))
    assert written(keeper, keeper.save_positions({P0: 4, P1: 5})) == (
        PositionsSaved(positions={P0: 4, P1: 5}, epoch=1),
    )
    assert keeper.save_positions({P0: 4, P1: 5}) is None
    assert keeper.save_positions({P0: 4}) is None
    assert keeper.save_positions({}) is None
    assert keeper.save_positions({P0: 4, P1: 6}) is not None


def test_what_is_saved_does_not_change_afterwards(keeper: Keeper) -> None:
    """An effect holds its own positions."""
    safe = {P0: 4}
    save = keeper.save_positions(safe)
    safe[P0] = 9
    assert written(keeper, save) == (PositionsSaved(positions={P0: 4}, epoch=0),)


def test_the_journal_found_at_start_is_taken_over() -> None:
    """Positions, files and the epoch go on where they were."""
    ledger = replayed(
        [
            log(),
            PositionsForgotten(source=P1, epoch=1),
            PositionsSaved(positions={P0: 4}, epoch=1),
            FileCommitted(file=committed("a", 1), positions={}, epoch=1),
        ]
    )
    keeper = Keeper()
    keeper.open(ledger)
    assert keeper.ledger == ledger
    assert keeper.log_seen(found()) is None
    assert keeper.save_positions({P0: 4}) is None
    assert written(keeper, keeper.log_cut(P0)) == (PositionsForgotten(source=P0, epoch=2),)


# Saves that fail


def test_a_save_is_under_way_until_it_ended(keeper: Keeper) -> None:
    """Whether well or not; the end of the program waits for it."""
    before = bool(keeper.saving)
    save = keeper.save_positions({P0: 4})
    meanwhile = bool(keeper.saving)
    written(keeper, save)
    assert [before, meanwhile, bool(keeper.saving)] == [False, True, False]


def test_what_could_not_be_saved_goes_with_the_next(keeper: Keeper) -> None:
    """First, and once; the operator is told each time."""
    served = keeper.served(1)
    assert served is not None
    assert keeper.saved(served.id, "disk full") == FaultSeen(
        label="journal_failed", detail="disk full; it is tried again"
    )
    assert not keeper.saving
    save = keeper.save_positions({P0: 4})
    assert save is not None
    assert save.id != served.id
    assert save.entries == (Served(sequence=1), PositionsSaved(positions={P0: 4}, epoch=0))
    assert keeper.saved(save.id, "still full") is not None
    again = keeper.served(2)
    assert again is not None
    assert again.entries == (*save.entries, Served(sequence=2))
    assert keeper.saved(again.id, None) is None
    assert keeper.save_positions({P0: 4}) is None, "all of it is saved"


def test_what_could_not_be_saved_is_tried_again_though_nothing_moved(keeper: Keeper) -> None:
    """A failed save of positions that stand still since is not forgotten."""
    save = keeper.save_positions({P0: 4})
    assert save is not None
    keeper.saved(save.id, "disk full")
    again = keeper.save_positions({P0: 4})
    assert again is not None
    assert again.entries[0] == PositionsSaved(positions={P0: 4}, epoch=0)


def test_entries_become_durable_in_their_order(keeper: Keeper) -> None:
    """Two partitions are cut: the first save fails, and the second, under way by then, does not."""
    journal: list[Entry] = [log()]
    saves: list[SaveJournal | None] = [keeper.log_cut(P0), keeper.log_cut(P1)]
    for number, save in enumerate(saves):
        if save is not None:
            if number:
                journal += save.entries
            keeper.saved(save.id, None if number else "disk full")
    again = keeper.save_positions({P0: 4, P1: 5})
    assert again is not None
    journal += again.entries
    assert replayed(journal) == keeper.ledger
    assert replayed(journal).positions == {P0: 4, P1: 5}


def test_positions_that_came_before_their_epoch_are_written_again(keeper: Keeper) -> None:
    """The cut could not be saved, so the journal did not take the positions that came behind it."""
    journal: list[Entry] = [log()]
    saves: list[SaveJournal | None] = [keeper.log_cut(P0), keeper.save_positions({P0: 4})]
    for number, save in enumerate(saves):
        if save is not None:
            if number:
                journal += save.entries
            keeper.saved(save.id, None if number else "disk full")
    later: list[SaveJournal | None] = [keeper.served(0), keeper.save_positions({P0: 4})]
    for save in later:
        if save is not None:
            journal += save.entries
            keeper.saved(save.id, None)
    assert replayed(journal).positions == {P0: 4}


def test_a_save_that_is_not_under_way_cannot_end(keeper: Keeper) -> None:
    """An event that answers nothing is a bug, and changes nothing."""
    with pytest.raises(InvalidTransitionError, match=r"^save 99 ended while None was under way$"):
        keeper.saved(99, None)
    save = keeper.served(1)
    with pytest.raises(InvalidTransitionError):
        keeper.saved(99, "disk full")
    assert keeper.saving
    assert written(keeper, save) == (Served(sequence=1),)
    assert keeper.save_positions({}) is None


# What the broker is told


def test_the_broker_is_told_what_it_does_not_know(keeper: Keeper) -> None:
    """Not twice the same, unless its memory of it is to be renewed."""
    first = keeper.tell({P0: 4}, again=False)
    assert first == CommitOffsets(2, {P0: 4})
    assert keeper.told(None) is None
    assert keeper.tell({P0: 4}, again=False) is None
    assert keeper.tell({P0: 4}, again=True) == CommitOffsets(3, {P0: 4})
    assert keeper.told(None) is None
    assert keeper.tell({P0: 5}, again=False) == CommitOffsets(4, {P0: 5})


def test_the_broker_is_told_one_thing_at_a_time(keeper: Keeper) -> None:
    """Until it answered nothing else is sent, and of nothing it is told nothing."""
    assert keeper.tell({}, again=True) is None
    assert keeper.tell({P0: 4}, again=False) is not None
    assert keeper.tell({P0: 5}, again=True) is None
    keeper.told(None)
    assert keeper.tell({P0: 5}, again=False) is not None


def test_what_is_told_does_not_change_afterwards(keeper: Keeper) -> None:
    """An effect holds its own offsets."""
    safe = {P0: 4}
    tell = keeper.tell(safe, again=False)
    safe[P0] = 9
    assert tell is not None
    assert tell.offsets == {P0: 4}
    keeper.told(None)
    assert keeper.tell({P0: 9}, again=False) is not None


def test_only_the_first_failure_to_tell_is_reported(keeper: Keeper) -> None:
    """It harms nothing; it is tried again, and reported again once it had worked."""
    fault = FaultSeen(
        label="offsets_not_told",
        detail="lag tools will show old offsets, nothing else is harmed: no such group",
    )
    told = []
    for error in ("no such group", "no such group", None, "no such group"):
        assert keeper.tell({P0: 4}, again=error is not None) is not None
        told.append(keeper.told(error))
    assert told == [fault, None, None, fault]


def test_every_effect_has_an_id_of_its_own(keeper: Keeper) -> None:
    """Saves and tellings are told apart by it."""
    effects = [
        keeper.served(1),
        keeper.tell({P0: 4}, again=False),
        keeper.save_positions({P0: 4}),
        keeper.log_cut(P0),
    ]
    ids = [effect.id for effect in effects if effect is not None]
    assert len(set(ids)) == len(ids) > 1
