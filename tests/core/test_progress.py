"""When positions are written down and told: soon after they moved, and again if that failed."""

from __future__ import annotations

import pytest

from filesync._alarms import Alarm, Alarms
from filesync._effects import CommitOffsets
from filesync._keeper import Keeper
from filesync._positions import Positions
from filesync._progress import Progress
from support.pieces import P0


@pytest.fixture(name="alarms")
def _alarms() -> Alarms:
    return Alarms()


@pytest.fixture(name="progress")
def _progress(alarms: Alarms) -> Progress:
    """Return that of a host that has read seven records."""
    positions = Positions()
    positions.start(P0, 7)
    return Progress(Keeper(), positions, alarms)


def test_what_moved_is_written_and_told_five_seconds_later(
    progress: Progress, alarms: Alarms
) -> None:
    """Counted from the first move; the broker is not told when only a save may have failed."""
    progress.unsaved(1.0)
    assert (alarms.due(Alarm.SAVE_POSITIONS), alarms.due(Alarm.TELL_OFFSETS)) == (6.0, float("inf"))
    progress.moved(2.0)
    progress.moved(3.0)
    assert (alarms.due(Alarm.SAVE_POSITIONS), alarms.due(Alarm.TELL_OFFSETS)) == (6.0, 7.0)


def test_positions_are_written_once(progress: Progress) -> None:
    """Where nothing moved since, there is nothing to write."""
    save = progress.save()
    assert save is not None
    assert progress.save() is None


def test_the_broker_is_told_again_every_hour(progress: Progress, alarms: Alarms) -> None:
    """It forgets; in between only what is news to it."""
    assert progress.tell(0.0) == CommitOffsets(1, {P0: 7})
    assert progress.told(1.0, None) is None
    assert alarms.take(3600.0) == (Alarm.TELL_OFFSETS,)
    assert progress.tell(3599.0) is None, "it knows, and has not forgotten"
    assert progress.tell(3600.0) == CommitOffsets(2, {P0: 7})


def test_what_the_broker_did_not_take_is_told_again_in_a_minute(
    progress: Progress, alarms: Alarms
) -> None:
    """And not in an hour."""
    progress.tell(0.0)
    assert progress.told(3.0, "no right") is not None
    assert alarms.due(Alarm.TELL_OFFSETS) == 63.0
    progress.moved(4.0)
    assert alarms.due(Alarm.TELL_OFFSETS) == 9.0, "what moves meanwhile need not wait"
    assert progress.tell(9.0) == CommitOffsets(2, {P0: 7})
