"""The bag that counts what a producer has under way: every ticket is answered exactly once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filesync import TopicPartition
from filesync.producer import Acknowledged, Delivery, NotDelivered, TopicLost
from filesync.testing import ManualClock
from filesync.transport import Fault, PartitionLost, TopicRecreated
from filesync_kafka_common.mailbag import Mailbag

P0 = TopicPartition("t", 0)


def _tickets(told: Iterable[Delivery]) -> list[int]:
    return [each.ticket for each in told if not isinstance(each, TopicLost)]


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(name="bag")
def _bag(clock: ManualClock) -> Mailbag:
    return Mailbag(10.0, clock)


def test_every_ticket_is_answered_once(bag: Mailbag) -> None:
    """In the order in which it became known; what was taken does not come again."""
    for ticket in (1, 2, 3):
        bag.put(ticket)
    assert bag.take() == []
    bag.failed(2, "why")
    bag.acknowledged(1, P0, 7)
    assert bag.take() == [
        NotDelivered(ticket=2, why="why"),
        Acknowledged(ticket=1, source=P0, offset=7),
    ]
    assert bag.take() == []
    bag.give_up("over")
    assert bag.take() == [NotDelivered(ticket=3, why="over")]


def test_what_comes_late_is_ignored(bag: Mailbag) -> None:
    """The first answer counts, whether it was taken or not; a stranger's does not."""
    bag.put(1)
    bag.put(2)
    bag.acknowledged(1, P0, 0)
    bag.failed(1, "too late")
    bag.give_up("over")
    bag.acknowledged(2, P0, 1)
    bag.failed(3, "whose?")
    answers = [Acknowledged(ticket=1, source=P0, offset=0), NotDelivered(ticket=2, why="over")]
    assert bag.take() == answers
    bag.acknowledged(2, P0, 1)
    bag.failed(1, "later")
    assert bag.take() == []


def test_the_oldest_is_overdue_first(bag: Mailbag, clock: ManualClock) -> None:
    """At its instant, not before; one that was answered never is."""
    assert not bag.overdue
    bag.put(1)
    clock.advance(6.0)
    bag.put(2)
    clock.advance(3.9)
    assert not bag.overdue
    clock.advance(0.1)
    assert bag.overdue
    bag.acknowledged(1, P0, 0)
    assert not bag.overdue
    clock.advance(6.0)
    assert bag.overdue
    bag.give_up("over")
    assert not bag.overdue
    clock.advance(100.0)
    assert not bag.overdue


def test_there_is_a_grace_for_the_driver_to_tell(clock: ManualClock) -> None:
    """It measures the same time; only what it does not tell then is overdue."""
    bag = Mailbag(10.0, clock, grace=2.0)
    bag.put(1)
    clock.advance(11.9)
    assert not bag.overdue
    clock.advance(0.1)
    assert bag.overdue


def test_a_record_is_overdue_when_nothing_was_heard_of_it_in_its_time(
    bag: Mailbag, clock: ManualClock
) -> None:
    """Or in nearly all of it; not one that was refused, nor one that went out later."""
    for ticket in (1, 2, 3):
        bag.put(ticket)
    clock.advance(2.0)
    bag.put(4)
    clock.advance(7.5)
    bag.failed(1, "nothing", silence=True)
    bag.failed(2, "refused")
    bag.give_up("nothing", silence=True)
    bag.failed(5, "whose?", silence=True)
    assert bag.take() == [
        NotDelivered(ticket=1, why="nothing", overdue=True),
        NotDelivered(ticket=2, why="refused"),
        NotDelivered(ticket=3, why="nothing", overdue=True),
        NotDelivered(ticket=4, why="nothing"),
    ]


@pytest.mark.parametrize(
    "fault", [TopicRecreated(topic="t", topic_id="2"), PartitionLost(source=P0)]
)
def test_a_topic_that_is_lost_is_told_before_what_was_under_way(bag: Mailbag, fault: Fault) -> None:
    """If something went out since it was lost before; whoever sends needs another client."""
    assert not bag.heed([fault])
    bag.put(1)
    assert not bag.heed([])
    assert bag.heed([fault])
    lost, given_up = bag.take()
    assert isinstance(lost, TopicLost)
    assert given_up == NotDelivered(ticket=1, why=lost.why)
    assert "send all of them again" in lost.why
    assert not bag.heed([fault])
    bag.put(2)
    bag.acknowledged(2, P0, 0)
    assert bag.heed([fault])
    assert bag.take() == [Acknowledged(ticket=2, source=P0, offset=0), lost]


def test_who_waits_is_woken_by_the_first_answer(bag: Mailbag) -> None:
    """From another thread, and long before the time is over."""
    bag.put(1)
    threads = [
        threading.Thread(target=lambda: bag.acknowledged(1, P0, 3)),
        threading.Thread(target=lambda: bag.give_up("over")),
    ]
    for ticket, thread in enumerate(threads, 1):
        began = time.monotonic()
        thread.start()
        assert _tickets(bag.take(60)) == [ticket]
        assert time.monotonic() - began < 30
        thread.join()
        bag.put(2)


def test_who_waits_in_vain_gets_nothing(bag: Mailbag) -> None:
    """After that time; without one at once."""
    bag.put(1)
    began = time.monotonic()
    assert bag.take(0.05) == []
    assert time.monotonic() - began >= 0.05
    assert bag.take(-1) == []


class Bagging(RuleBasedStateMachine):
    """Tickets in and answers out, in any order, late ones and strange ones among them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.bag = Mailbag(10.0, self.clock)
        self.sent_at: dict[int, float] = {}
        self.expected: list[Delivery] = []
        self.answered: Counter[int] = Counter()
        self.last = 0

    @rule(after=st.sampled_from([0.0, 1.0, 4.0]))
    def put(self, after: float) -> None:
        self.clock.advance(after)
        self.last += 1
        self.bag.put(self.last)
        self.sent_at[self.last] = self.clock.now

    @rule(ticket=st.integers(0, 12), good=st.booleans())
    def answer(self, ticket: int, good: bool) -> None:
        if good:
            self.bag.acknowledged(ticket, P0, ticket)
        else:
            self.bag.failed(ticket, "why")
        if self.sent_at.pop(ticket, None) is not None:
            self.expected.append(
                Acknowledged(ticket=ticket, source=P0, offset=ticket)
                if good
                else NotDelivered(ticket=ticket, why="why")
            )

    @precondition(lambda self: self.sent_at)
    @rule()
    def give_up(self) -> None:
        self.bag.give_up("over")
        self.expected += [NotDelivered(ticket=ticket, why="over") for ticket in self.sent_at]
        self.sent_at.clear()

    @rule()
    def take(self) -> None:
        taken = self.bag.take()
        assert taken == self.expected
        self.answered.update(_tickets(taken))
        self.expected = []
        assert set(self.answered.values()) <= {1}

    @invariant()
    def one_is_overdue_if_its_time_is_over(self) -> None:
        due = any(self.clock.now - at >= 10.0 for at in self.sent_at.values())
        assert self.bag.overdue is due

    def teardown(self) -> None:
        self.bag.give_up("end")
        self.answered.update(_tickets(self.bag.take()))
        assert self.answered == Counter(range(1, self.last + 1))


TestBagging = Bagging.TestCase
