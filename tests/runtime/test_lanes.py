"""Lanes: in order, one at a time, side by side, and each ending is heard of once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from filesync._effects import Event, Woke
from filesync.runtime._lanes import Completions, Lane
from support.waiting import eventually


@pytest.fixture(name="completions")
def _completions() -> Completions:
    return Completions()


@pytest.fixture(name="lane")
def _lane(completions: Completions) -> Iterator[Lane]:
    lane = Lane("test", completions)
    yield lane
    assert lane.close(10)


def drain(completions: Completions, count: int) -> list[Event]:
    """Return the next *count* events, in the order in which they came."""
    events: list[Event] = []
    while len(events) < count:
        completions.wait(10)
        taken = completions.take()
        assert taken, f"only {len(events)} of {count} events came"
        events += taken
    return events


def test_what_is_started_is_done_in_order(completions: Completions, lane: Lane) -> None:
    """One after another, in the order of `start`, and the events come in that order."""
    done = []

    def job(number: int) -> Event:
        done.append(number)
        return Woke(number)

    for number in range(100):
        lane.start(partial(job, number))
    assert drain(completions, 100) == [Woke(number) for number in range(100)]
    assert done == list(range(100))


def test_a_lane_does_one_thing_at_a_time(completions: Completions, lane: Lane) -> None:
    """A second job waits for the end of the first, however long that takes."""
    hold = threading.Event()
    lane.start(lambda: Woke(1) if hold.wait(10) else None)
    lane.start(lambda: Woke(2))
    assert completions.outstanding == 2
    completions.wait(0.02)
    assert completions.take() == []
    hold.set()
    assert drain(completions, 2) == [Woke(1), Woke(2)]


def test_two_lanes_work_side_by_side(completions: Completions, lane: Lane) -> None:
    """What takes long on one lane holds up no other."""
    other = Lane("other", completions)
    meeting = threading.Barrier(2, timeout=10)
    for each in (lane, other):
        each.start(lambda: Woke(meeting.wait()))
    assert sorted(event.at for event in drain(completions, 2)) == [0, 1]
    assert other.close(10)


def test_what_is_under_way_is_counted_until_it_is_taken(
    completions: Completions, lane: Lane
) -> None:
    """From `start` on until its event was taken, or there was none to take."""
    hold = threading.Event()
    assert completions.outstanding == 0
    lane.start(lambda: Woke(1) if hold.wait(10) else None)
    lane.start(lambda: None)
    assert completions.outstanding == 2
    hold.set()
    eventually(lambda: completions.outstanding == 1)
    assert completions.take() == [Woke(1)]
    assert completions.outstanding == 0
    assert completions.take() == []


def test_waiting_ends_when_an_event_comes(completions: Completions, lane: Lane) -> None:
    """At once if one is there, or else as soon as one is."""
    started = time.monotonic()
    lane.start(lambda: Woke(1))
    completions.wait(60)
    completions.wait(60)
    assert time.monotonic() - started < 10
    assert completions.take() == [Woke(1)]


def test_waiting_ends_when_it_is_woken(completions: Completions) -> None:
    """A wake ends the wait that runs, or else the next one, and only that."""
    completions.wake()
    started = time.monotonic()
    completions.wait(60)
    waker = threading.Thread(target=completions.wake)
    waker.start()
    completions.wait(60)
    waker.join()
    assert time.monotonic() - started < 10
    completions.wait(0.05)
    assert time.monotonic() - started >= 0.05


def test_waiting_ends_in_time(completions: Completions) -> None:
    """Without an event it takes as long as it was told."""
    started = time.monotonic()
    completions.wait(0.05)
    assert 0.05 <= time.monotonic() - started < 10


def test_closing_waits_for_what_was_started(completions: Completions) -> None:
    """What was started before is done first."""
    lane = Lane("test", completions)
    for number in range(10):
        lane.start(partial(Woke, number))
    assert lane.close(10)
    assert len(completions.take()) == 10
    assert lane.close(10)


def test_closing_does_not_wait_for_ever(completions: Completions) -> None:
    """A job that hangs is told to the caller, and does not keep a program from ending."""
    hold = threading.Event()
    lane = Lane("test", completions)
    lane.start(lambda: Woke(1) if hold.wait(10) else None)
    try:
        assert not lane.close(0.02)
        (thread,) = [each for each in threading.enumerate() if each.name == "filesync-test"]
        assert thread.daemon
    finally:
        hold.set()
    thread.join(10)
    assert completions.take() == [Woke(1)]
