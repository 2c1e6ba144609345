"""Records that are not for reading, on a real broker: of transactions, cleaned away, or damaged."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as DriverPartition

from support.host import Host
from support.kafka import KafkaBroker
from support.log_sender import FINE, LogSender, headers_of
from support.real_log import RealLog, configure
from support.resident import Resident
from support.waiting import eventually

pytestmark = pytest.mark.kafka

MakeResident = Callable[..., Resident]


# Transactions


def test_an_aborted_transaction_leaves_no_file(
    kafka_broker: KafkaBroker, resident: Resident, sender: LogSender, make: MakeResident, topic: str
) -> None:
    """What was aborted is passed over, between others and at the end of the log."""
    transactions = _transactions(kafka_broker, topic)
    sender.file("a.rpz")
    _send_in(transactions, topic, "aborted.rpz", "a.rpz")
    transactions.abort_transaction(20)
    sender.file("b.rpz")
    resident.start()
    resident.wait_for("committed", file="b.rpz")
    resident.wait_for("caught_up")
    resident.wait_for_position(5)  # a.rpz, two aborted ones, the mark of their end, b.rpz

    _send_in(transactions, topic, "aborted.rpz")
    transactions.abort_transaction(20)
    resident.wait_for_position(7)
    resident.stop()

    assert resident.files() == {"a.rpz": b"x", "b.rpz": b"x"}
    assert set(resident.told()) == FINE
    # Who begins now comes to an end although nothing readable is there.
    other = make(name="other")
    seen = other.read_to_the_end()
    assert list(seen.positions.values()) == [7]
    assert other.files() == resident.files()


def test_an_open_transaction_holds_back_what_follows_it(
    kafka_broker: KafkaBroker, resident: Resident, sender: LogSender, topic: str
) -> None:
    """Until it ends, the host is caught up before it; then all comes, in the order of the log."""
    transactions = _transactions(kafka_broker, topic)
    sender.file("a.rpz")
    _send_in(transactions, topic, "b.rpz", "c.rpz")
    sender.file("d.rpz")
    resident.start()
    resident.wait_for("caught_up")
    resident.wait_for("renew_served")
    assert resident.position() == 1
    assert sorted(resident.files()) == ["a.rpz"]

    transactions.commit_transaction(20)
    resident.wait_for("committed", file="d.rpz")
    resident.wait_for_position(5)
    resident.stop()

    assert resident.lines("committed") == [
        f"{name}.rpz from {topic}[0]@{offset}: committed" for offset, name in enumerate("abcd")
    ]
    assert set(resident.told()) == FINE


# Gaps


def test_gaps_of_compaction_are_no_loss(
    kafka_broker: KafkaBroker, log: RealLog, make: MakeResident, topic: str
) -> None:
    """A compacted topic: from the start and from inside a gap the rest is read, nothing is told."""
    compacted = f"compacted-{topic}"
    # Each record closes the segment before it; the last one's is never cleaned.
    words = {"cleanup.policy": "compact", "segment.ms": "1", "min.cleanable.dirty.ratio": "0.01"}
    kafka_broker.create_topic(compacted, config=words | {"min.compaction.lag.ms": "3600000"})
    began_at = time.time()

    def send(offset: int, name: str, data: bytes) -> None:
        key, timestamp = name.encode(), began_at + offset
        log.publish(compacted, data, key=key, headers=headers_of(name), timestamp=timestamp)

    for offset in range(4):
        send(offset, "a.rpz", b"%d" % offset)
    begun, fresh = make(name="begun", topic=compacted), make(name="fresh", topic=compacted)
    assert list(begun.read_to_the_end().positions.values()) == [4]
    for offset in range(4, 8):
        send(offset, "a.rpz", b"%d" % offset)
    for offset, name in enumerate(["b.rpz", "c.rpz", "d.rpz"], 8):
        send(offset, name, name.encode())
    configure(kafka_broker, "BROKER", "1", {"log.cleaner.backoff.ms": "100"})
    configure(kafka_broker, "TOPIC", compacted, {"min.compaction.lag.ms": "0"})
    eventually(
        lambda: _offsets_of(kafka_broker, compacted) == [7, 8, 9, 10], 60, what="a log with gaps"
    )

    begun.outcomes.clear()
    for resident in (begun, fresh):
        seen = resident.read_to_the_end()
        assert list(seen.positions.values()) == [11]
        files = {name: data for name, data in resident.files().items() if ".backup" not in name}
        assert files == {"a.rpz": b"7", "b.rpz": b"b.rpz", "c.rpz": b"c.rpz", "d.rpz": b"d.rpz"}
        assert resident.told() == ["committed"] * 4 + ["caught_up", "renew_served"]


# Records that cannot be read


def test_a_record_that_cannot_be_decoded_is_told_once_and_passed_over(
    kafka_broker: KafkaBroker, log: RealLog, resident: Resident, sender: LogSender, topic: str
) -> None:
    """A header name that is not UTF-8: the records around it arrive, a restart does not see it."""
    kafka_broker.add_partitions(topic, 2)
    sender.file("a.rpz")
    sender.file("b.rpz", partition=1)
    log.publish_undecodable(topic)
    sender.file("c.rpz")
    resident.start()
    resident.wait_for("caught_up")
    resident.wait_for("committed", count=3)
    log.publish_undecodable(topic)
    sender.file("d.rpz")
    sender.file("e.rpz", partition=1)
    resident.wait_for("committed", count=5)
    resident.wait_for_position(5)
    resident.wait_for_position(2, 1)
    resident.stop()
    seen = resident.read_to_the_end()

    assert [line.partition(",")[0] for line in resident.lines("unreadable")] == [
        f"record {topic}[0]@1 was passed over",
        f"record {topic}[0]@3 was passed over",
    ]
    assert sorted(resident.files()) == [f"{name}.rpz" for name in "abcde"]
    assert seen.counters["records"] == 0
    told = set(resident.told())
    assert told == {"committed", "caught_up", "renew_served", "unreadable"}


def test_a_batch_that_is_damaged_on_the_brokers_disk_is_told_and_passed_over(
    tmp_path: Path, kafka_broker: KafkaBroker, sender: LogSender, topic: str, driver: str
) -> None:
    """One bit of a value flips: the checksum tells, the records around it arrive."""
    needle = b"the bytes that will be damaged"
    sender.file("a.rpz")
    producer = kafka_broker.producer(linger_ms=1000)
    for name in ("b.rpz", "c.rpz"):
        producer.produce(topic, needle * 1000, headers=[*headers_of(name)])
    assert producer.flush(20) == 0
    sender.file("d.rpz")
    kafka_broker.stop()
    _flip_a_bit(kafka_broker.root / "data" / f"{topic}-0", needle)
    kafka_broker.start()

    # A process of its own: it is not certain that a driver survives that.
    host = Host(tmp_path / "host", kafka_broker.bootstrap, topic, driver=driver, quiet="0s")
    try:
        host.start()
        host.wait_until_ready()
        sender.file("e.rpz")
        host.wait_for("committed", file="e.rpz")
        assert host.stop() == 0
    finally:
        host.close()

    assert host.names() == ["a.rpz", "d.rpz", "e.rpz"]
    assert [event["msg"].partition(",")[0] for event in host.events("unreadable")] == [
        f"record {topic}[0]@{offset} was passed over" for offset in (1, 2)
    ], "both of its records"


# Brokers and producers


def _transactions(broker: KafkaBroker, topic: str) -> Producer:
    producer = broker.producer(transactional_id=f"of-{topic}")
    producer.init_transactions(30)
    return producer


def _send_in(producer: Producer, topic: str, *names: str) -> None:
    """Begin a transaction, and send files in it."""
    producer.begin_transaction()
    for name in names:
        producer.produce(topic, b"x", headers=[*headers_of(name)])
    assert producer.flush(20) == 0


def _offsets_of(broker: KafkaBroker, topic: str) -> list[int]:
    """Return the offsets of all records that are there."""
    words = {"group.id": "unused", "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, **words})
    consumer.assign([DriverPartition(topic, 0, 0)])
    offsets: list[int] = []
    try:
        while True:
            message = eventually(lambda: consumer.poll(1), 30, what="a record, or the end")
            assert message is not None
            if message.error() is not None:
                return offsets
            offset = message.offset()
            assert offset is not None
            offsets.append(offset)
    finally:
        consumer.close()


def _flip_a_bit(folder: Path, needle: bytes) -> None:
    """Damage the first byte of *needle* in the log that is kept in *folder*."""
    (path,) = folder.glob("*.log")
    data = bytearray(path.read_bytes())
    data[data.index(needle)] ^= 1
    path.write_bytes(data)
