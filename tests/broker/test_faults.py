"""
What can become of a log, on a real broker: what is told, what is on disk, where reading goes on.

The whole receiver runs, inside the test's process, once with every driver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import pytest
from confluent_kafka import Consumer
from confluent_kafka import TopicPartition as DriverPartition

from filesync import Outcome, Start, TransferEnded
from support.kafka import KafkaBroker
from support.log_sender import FINE, LogSender, headers_of
from support.real_log import RealLog, configure
from support.resident import Resident
from support.waiting import eventually

pytestmark = pytest.mark.kafka

MakeResident = Callable[..., Resident]

#: Years ago: whatever has a limit of age is older.
_LONG_AGO = 1_500_000_000.0

_SEGMENT_BYTES = 1024 * 1024

#: How a file ends that is read beyond the old position before the new log is noticed, and again.
_READ_TWICE = [["committed", "unchanged"], ["superseded", "committed"]]


# Another log of the same name


@pytest.mark.parametrize(("length", "count"), [("shorter", 1), ("as long", 3), ("longer", 5)])
def test_a_topic_that_is_recreated_while_it_is_read_is_read_from_its_start(
    kafka_broker: KafkaBroker,
    resident: Resident,
    sender: LogSender,
    topic: str,
    length: str,
    count: int,
) -> None:
    """Told once; what the new log holds is newer than what is on disk, wherever it stands."""
    for name in ("a.rpz", "b.rpz", "c.rpz"):
        sender.file(name, b"old")
    resident.start()
    resident.wait_for_position(3)
    resident.wait_for("caught_up")

    kafka_broker.delete_topic(topic)
    kafka_broker.create_topic(topic)
    new = ["c.rpz", "b.rpz", "d.rpz", "e.rpz", "f.rpz"][:count]
    for name in new:
        sender.file(name, b"new")

    resident.wait_for("topic_recreated")
    resident.wait_for_position(count)
    sender.file("last.rpz", b"new")
    resident.wait_for("committed", file="last.rpz")
    resident.stop()
    told = resident.told()
    committed = [label for label in told if label != "renew_served"]
    assert committed[:4] == ["committed", "committed", "committed", "caught_up"]
    assert told.count("topic_recreated") == 1
    ends = _ends(resident.outcomes)[3:]
    for name in [*new, "last.rpz"]:
        labels = [outcome.label for outcome in ends if outcome.name == name]
        assert labels in [["committed"], *(_READ_TWICE if name in new[3:] else [])], name
    last = {outcome.name: number for number, outcome in enumerate(ends)}
    assert sorted(last, key=last.__getitem__) == [*new, "last.rpz"], "read in the order of the log"
    # Between the two it may have been looked at, and was not there.
    rare = {"partition_lost", "unchanged", "superseded"}
    assert set(told) <= FINE | rare | {"topic_recreated"}
    files = resident.files()
    assert all(files[name] == b"new" for name in new)
    assert files["a.rpz"] == b"old", "what is not in the new log stays"
    assert files["c.rpz.backup"] == b"old"


@pytest.mark.parametrize(("length", "count"), [("shorter", 1), ("as long", 3), ("longer", 5)])
def test_a_topic_that_was_recreated_while_it_was_down_is_read_from_its_start(
    kafka_broker: KafkaBroker,
    resident: Resident,
    sender: LogSender,
    topic: str,
    length: str,
    count: int,
) -> None:
    """The journal knows which log its position belongs to."""
    for name in ("a.rpz", "b.rpz", "c.rpz"):
        sender.file(name, b"old")
    resident.read_to_the_end()
    before = resident.ledger().logs[topic].topic_id

    kafka_broker.delete_topic(topic)
    kafka_broker.create_topic(topic)
    new = ["c.rpz", "b.rpz", "d.rpz", "e.rpz", "f.rpz"][:count]
    for name in new:
        sender.file(name, b"new")
    seen = resident.read_to_the_end()

    assert list(seen.positions.values()) == [count]
    assert seen.counters["committed"] == count
    assert not {"log_gap", "log_truncated", "unchanged", "superseded"} & set(resident.told())
    assert resident.ledger().logs[topic].topic_id not in {None, before}
    files = resident.files()
    assert all(files[name] == b"new" for name in new)
    assert files["a.rpz"] == b"old"


# The head of the log is gone


def test_retention_that_cuts_the_head_is_told_and_the_rest_is_read(
    kafka_broker: KafkaBroker, log: RealLog, resident: Resident, topic: str
) -> None:
    """Records that grew too old while it was down: how many is told, later files arrive."""
    alter = partial(configure, kafka_broker, "TOPIC", topic)
    alter({"segment.bytes": str(_SEGMENT_BYTES), "retention.ms": "-1"})
    publish = partial(log.publish, topic, bytes(_SEGMENT_BYTES // 3))
    publish(headers=headers_of("first.rpz"), timestamp=_LONG_AGO)
    resident.read_to_the_end()
    for number in range(6):
        publish(headers=headers_of(f"old-{number}.rpz"), timestamp=_LONG_AGO)
    for number in range(4):
        publish(headers=headers_of(f"new-{number}.rpz"))
    alter({"retention.ms": "3600000"})
    start = eventually(lambda: _start_of(kafka_broker, topic), 60, what="the head is cut off")

    seen = resident.read_to_the_end()

    assert 1 < start <= 7
    (gap,) = resident.lines("log_gap")
    assert gap.startswith(f"{start - 1} records of {topic}[0], from offset 1, were removed")
    assert resident.told().count("log_gap") == 1
    assert list(seen.positions.values()) == [11]
    assert {"first.rpz", *(f"new-{number}.rpz" for number in range(4))} <= set(resident.files())


def test_records_that_were_deleted_before_they_were_read_are_told(
    kafka_broker: KafkaBroker, resident: Resident, sender: LogSender, topic: str
) -> None:
    """DeleteRecords while it was down: how many is told, the rest is read."""
    sender.file("a.rpz")
    resident.read_to_the_end()
    for name in ("b.rpz", "c.rpz", "d.rpz"):
        sender.file(name)
    kafka_broker.delete_records(topic, before=3)

    seen = resident.read_to_the_end()

    (gap,) = resident.lines("log_gap")
    assert gap.startswith(f"2 records of {topic}[0], from offset 1, were removed")
    assert sorted(resident.files()) == ["a.rpz", "d.rpz"]
    assert list(seen.positions.values()) == [4]
    assert resident.told(but={"renew_served", "health_changed"}) == [
        "committed",
        "caught_up",
        "log_gap",
        "committed",
        "caught_up",
    ]


def test_records_that_are_deleted_after_they_were_read_harm_nothing(
    kafka_broker: KafkaBroker, resident: Resident, sender: LogSender, topic: str
) -> None:
    """DeleteRecords up to the end, live: nothing is told, a transfer under way becomes whole."""
    sender.file("a.rpz")
    sender.chunk("b.rpz", 1, 2, b"one ")
    resident.start()
    resident.wait_for_position(2)
    kafka_broker.delete_records(topic, before=2)
    sender.chunk("b.rpz", 2, 2, b"two")
    resident.wait_for("committed", file="b.rpz")
    resident.wait_for_position(3)
    resident.stop()

    assert resident.files() == {"a.rpz": b"x", "b.rpz": b"one two"}
    assert set(resident.told()) == FINE


def test_a_transfer_that_lost_its_head_never_becomes_a_file(
    kafka_broker: KafkaBroker, resident: Resident, sender: LogSender, topic: str
) -> None:
    """Half of it was read, then deleted, then there was a restart: it must be sent again."""
    sender.chunk("a.rpz", 1, 2, b"one ")
    resident.start()
    resident.wait_for_position(1)
    resident.stop()
    kafka_broker.delete_records(topic, before=1)
    sender.chunk("a.rpz", 2, 2, b"two")
    resident.start()
    resident.wait_for_position(2)
    sender.chunk("a.rpz", 1, 2, b"ONE ")
    sender.chunk("a.rpz", 2, 2, b"TWO")
    resident.wait_for("committed")
    resident.stop()

    assert resident.files() == {"a.rpz": b"ONE TWO"}
    assert resident.told(but={"renew_served", "health_changed", "caught_up"}) == [
        "log_gap",
        "head_missing",
        "committed",
    ]


# Partitions


@pytest.mark.parametrize("start", Start)
def test_partitions_that_are_added_are_read_from_their_start(
    kafka_broker: KafkaBroker, make: MakeResident, sender: LogSender, topic: str, start: Start
) -> None:
    """1 becomes 4 while it is read: nothing is skipped, nothing is told but the files."""
    resident = make(start=start)
    sender.file("before.rpz")
    resident.start()
    resident.wait_for("caught_up")
    kafka_broker.add_partitions(topic, 4)
    # Another producer: the one before would look for new partitions after minutes only.
    sender = LogSender(RealLog(kafka_broker, "unused"), topic)
    for partition in range(4):
        sender.file(f"{partition}.rpz", partition=partition)
    for partition in range(4):
        resident.wait_for("committed", file=f"{partition}.rpz")
    for partition, position in enumerate([2, 1, 1, 1]):
        resident.wait_for_position(position, partition)
    resident.stop()

    before = ["before.rpz"] if start is Start.EARLIEST else []
    assert sorted(resident.files()) == [*(f"{number}.rpz" for number in range(4)), *before]
    assert set(resident.told()) == FINE
    assert resident.told().count("caught_up") == 1
    assert sorted(resident.ledger().positions.values()) == [1, 1, 1, 2]


# Outcomes and the broker


def _ends(outcomes: Sequence[Outcome]) -> list[TransferEnded]:
    """Return how transfers ended."""
    return [outcome for outcome in outcomes if isinstance(outcome, TransferEnded)]


def _start_of(broker: KafkaBroker, topic: str) -> int:
    """Return the first offset that can be read."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused"})
    try:
        start: int = consumer.get_watermark_offsets(DriverPartition(topic, 0), timeout=10)[0]
    finally:
        consumer.close()
    return start
