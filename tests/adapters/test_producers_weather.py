"""Every driver's producer in any weather: no topic, another topic, a broker that is away."""

from __future__ import annotations

import itertools
import sys
import time

import pytest

from filesync import TopicPartition
from filesync.producer import Acknowledged, Delivery, TopicLost
from support.producers import (
    A_WHILE,
    SOON,
    Rig,
    acknowledged,
    gather,
    in_use,
    refused,
    send,
    until_told,
    until_up,
)
from support.waiting import eventually


def test_a_topic_that_is_missing_is_told_and_never_created(rig: Rig, topic: str) -> None:
    """Looked for again and again; when somebody creates it, health comes up by itself."""
    producer = rig.open(topic)
    producer.start()
    cause = until_told(producer, topic, within=10)
    assert "create it, or correct kafka.topic" in cause
    producer.poll(1.5)  # It looks every second.
    assert producer.health().cause == cause, "it stays"

    rig.log.create_topic(topic)  # Raises if there is one.
    until_up(producer)
    send(producer, [1])
    assert acknowledged(gather(producer, 1))[1].source == TopicPartition(topic, 0)


def test_a_topic_that_is_deleted_is_not_created_again(rig: Rig, topic: str) -> None:
    """Records for it are not delivered; and it stays deleted."""
    producer = in_use(rig, topic, timeout=1)
    rig.log.delete_topic(topic)
    send(producer, [1])

    assert list(refused(gather(producer, 1))) == [1]
    rig.log.create_topic(topic)  # Raises if there is one.


def test_what_was_meant_for_a_lost_topic_does_not_go_into_the_next_one(
    rig: Rig, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is lost is told first; what was under way is given up, long before its time."""
    for module in ("filesync_confluent_kafka", "filesync_kafka_python"):
        if module in sys.modules:
            monkeypatch.setattr(f"{module}._producer._REFRESH", 0.2)
    producer = in_use(rig, topic, timeout=60)
    rig.log.delete_topic(topic)
    send(producer, range(1, 6))
    told: list[Delivery] = []

    def given_up() -> bool:
        told.extend(producer.poll(0.1))
        return len(told) >= 6

    eventually(given_up, SOON, what="six that are told")
    assert isinstance(told[0], TopicLost)
    assert sorted(refused(told[1:])) == [1, 2, 3, 4, 5]

    rig.log.create_topic(topic)
    until_up(producer)
    send(producer, [6])
    assert acknowledged(gather(producer, 1))[6].offset == 0


def test_a_broker_that_is_down_at_the_start_is_waited_for(rig: Rig, topic: str) -> None:
    """`start` neither blocks nor raises; health tells soon, and comes up when the broker does."""
    rig.log.create_topic(topic)
    rig.log.stop()
    producer = rig.open(topic)
    began = time.monotonic()
    producer.start()
    assert time.monotonic() - began < 1
    assert not producer.health().up
    until_told(producer, "cannot reach a broker", rig.log.address, "kafka.server", within=12)
    rig.log.start()
    until_up(producer)
    send(producer, [1])
    acknowledged(gather(producer, 1))


def test_a_broker_that_comes_back_in_time_loses_nothing(rig: Rig, topic: str) -> None:
    """Records that were sent while it was away arrive once each, in order."""
    producer = in_use(rig, topic)
    rig.log.stop()
    send(producer, range(1, 51))
    assert producer.poll(A_WHILE) == []
    rig.log.start()

    told = acknowledged(gather(producer, 50))
    assert [told[ticket].offset for ticket in range(1, 51)] == list(range(1, 51))
    found = rig.records(topic, {0: 51})[0]
    assert [each.value() for each in found] == [b"%d" % ticket for ticket in range(51)]


def test_what_was_given_up_at_the_end_is_not_sent_later(rig: Rig, topic: str) -> None:
    """Closed while the broker is away: when it comes back, nothing comes."""
    producer = in_use(rig, topic)
    rig.log.stop()
    send(producer, range(1, 21))
    assert producer.poll(A_WHILE) == []
    producer.close(5)
    rig.log.start()
    other = rig.ready(topic)
    send(other, [21])
    acknowledged(gather(other, 1))
    assert other.poll(A_WHILE) == []
    send(other, [22])
    assert acknowledged(gather(other, 1))[22].offset == 2


def test_a_broker_that_is_away_for_too_long_ends_every_record(rig: Rig, topic: str) -> None:
    """Once each, soon, with what to do; and then the same producer sends again."""
    producer = in_use(rig, topic, timeout=1)
    rig.log.stop()
    began = time.monotonic()
    send(producer, range(1, 41))
    why = refused(gather(producer, 40))
    assert 0.9 <= time.monotonic() - began <= 9
    assert sorted(why) == list(range(1, 41))
    for each in set(why.values()):
        assert each.startswith("not acknowledged within 1 s: ")
        assert "kafka.server" in each
        assert "\n" not in each

    rig.log.start()
    until_up(producer)
    tickets = itertools.count(41)

    def sent_again() -> list[Acknowledged]:
        """Health is what the client that looks has found; the one that sends may come later."""
        send(producer, [next(tickets)])
        return [told for told in gather(producer, 1) if isinstance(told, Acknowledged)]

    (last,) = eventually(sent_again, SOON)
    found = rig.records(topic, {0: last.offset + 1})[0]
    assert found[-1].value() == b"%d" % last.ticket
