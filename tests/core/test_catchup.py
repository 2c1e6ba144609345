"""All that was in the log at start was read, or it was not."""

from __future__ import annotations

import pytest

from filesync._catchup import CatchUp
from filesync._model import TopicPartition

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)


def test_a_log_that_is_not_known_is_not_caught_up_with() -> None:
    """Before the first partition is found there is nothing to be done with."""
    catchup = CatchUp()
    assert not catchup.begun
    assert not catchup.done
    catchup.advance({P0: 5})
    catchup.forget(P0)
    assert not catchup.begun
    assert not catchup.done


@pytest.mark.parametrize(("position", "done"), [(4, False), (5, True), (6, True)])
def test_the_end_is_reached_at_its_offset(position: int, *, done: bool) -> None:
    """An end is the next offset to be written: to be there is to have read all."""
    catchup = CatchUp()
    catchup.expect(P0, position, 5)
    assert catchup.begun
    assert catchup.done is done
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.advance({P0: position})
    assert catchup.done is done


def test_every_partition_has_to_come_to_its_end() -> None:
    """S10: one that is behind keeps the host from being ready; what is added is not waited for."""
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.expect(P1, 0, 3)
    done = []
    for positions in ({P0: 7}, {P0: 9, P1: 2}, {P1: 3}, {P0: 1, P1: 1}):
        catchup.advance(positions)
        done.append(catchup.done)
    assert done == [False, False, True, True]


def test_a_lost_partition_is_not_waited_for() -> None:
    """It has no end any more, until it is found again."""
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.forget(P0)
    assert catchup.done
    catchup.expect(P0, 2, 5)
    assert not catchup.done


def test_a_partition_that_is_read_from_its_end_is_not_behind() -> None:
    """What was expected of it before no longer counts: it may never move again."""
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.expect(P0, 3, 3)
    assert catchup.done
