"""
What can become of a log, on a real broker: what is told, what is on disk, where reading goes on.

The whole receiver runs, inside the test's process, once with every driver.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as DriverPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # Its stubs say nothing of them.
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
)

from filesync import Outcome, Start, TransferEnded
from support.host import Host
from support.kafka import KafkaBroker
from support.real_log import RealLog
from support.resident import Resident, open_on
from support.waiting import eventually

pytestmark = pytest.mark.kafka

MakeResident = Callable[..., Resident]

#: Years ago: whatever has a limit of age is older.
_LONG_AGO = 1_500_000_000.0

_SEGMENT_BYTES = 1024 * 1024

#: What is told when all is well.
_FINE = {"committed", "caught_up", "renew_served"}

#: How a file ends that is read beyond the old position before the new log is noticed, and again.
_READ_TWICE = [["committed", "unchanged"], ["superseded", "committed"]]


class _Sender:
    """Sends files to partition 0 of *topic*, or another one, and waits until each is there."""

    def __init__(self, log: RealLog, topic: str) -> None:
        self._log = log
        self._topic = topic

    def file(self, name: str, data: bytes = b"x", *, partition: int = 0) -> None:
        """Send a file in one record."""
        self._log.publish(self._topic, data, headers=_headers(name), partition=partition)

    def chunk(self, name: str, index: int, count: int, data: bytes) -> None:
        """Send one chunk; *index* is from 1."""
        headers = _headers(name, ("total-chunks", b"%d" % count), ("chunk-index", b"%d" % index))
        self._log.publish(self._topic, data, headers=headers)


def _headers(name: str, *more: tuple[str, bytes]) -> list[tuple[str, bytes | None]]:
    return [("hostname", b"ns1"), ("file-name", name.encode()), *more]


@pytest.fixture(name="log")
def _log(kafka_broker: KafkaBroker) -> RealLog:
    kafka_broker.start()
    return RealLog(kafka_broker, "filesync-ns1")


@pytest.fixture(name="sender")
def _sender(log: RealLog, topic: str) -> _Sender:
    return _Sender(log, topic)


@pytest.fixture(name="make")
def _make(
    tmp_path: Path, kafka_broker: KafkaBroker, topic: str, driver: str
) -> Iterator[MakeResident]:
    """Return a function that makes a receiver, with a files-dir of its own, not yet started."""
    made: list[Resident] = []

    def make(*, name: str = "files", topic: str = topic, start: Start = Start.EARLIEST) -> Resident:
        opener = partial(open_on, driver)
        address = kafka_broker.bootstrap
        made.append(Resident(tmp_path / name, topic, opener, address=address, start=start))
        return made[-1]

    yield make
    for resident in made:
        resident.stop()


@pytest.fixture(name="resident")
def _resident(make: MakeResident) -> Resident:
    return make()


# Another log of the same name


@pytest.mark.parametrize(("length", "count"), [("shorter", 1), ("as long", 3), ("longer", 5)])
def test_a_topic_that_is_recreated_while_it_is_read_is_read_from_its_start(
    kafka_broker: KafkaBroker,
    resident: Resident,
    sender: _Sender,
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
    assert set(told) <= _FINE | rare | {"topic_recreated"}
    files = resident.files()
    assert all(files[name] == b"new" for name in new)
    assert files["a.rpz"] == b"old", "what is not in the new log stays"
    assert files["c.rpz.backup"] == b"old"


@pytest.mark.parametrize(("length", "count"), [("shorter", 1), ("as long", 3), ("longer", 5)])
def test_a_topic_that_was_recreated_while_it_was_down_is_read_from_its_start(
    kafka_broker: KafkaBroker,
    resident: Resident,
    sender: _Sender,
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
    configure = partial(_configure, kafka_broker, "TOPIC", topic)
    configure({"segment.bytes": str(_SEGMENT_BYTES), "retention.ms": "-1"})
    publish = partial(log.publish, topic, bytes(_SEGMENT_BYTES // 3))
    publish(headers=_headers("first.rpz"), timestamp=_LONG_AGO)
    resident.read_to_the_end()
    for number in range(6):
        publish(headers=_headers(f"old-{number}.rpz"), timestamp=_LONG_AGO)
    for number in range(4):
        publish(headers=_headers(f"new-{number}.rpz"))
    configure({"retention.ms": "3600000"})
    start = eventually(lambda: _start_of(kafka_broker, topic), 60, what="the head is cut off")

    seen = resident.read_to_the_end()

    assert 1 < start <= 7
    (gap,) = resident.lines("log_gap")
    assert gap.startswith(f"{start - 1} records of {topic}[0], from offset 1, were removed")
    assert resident.told().count("log_gap") == 1
    assert list(seen.positions.values()) == [11]
    assert {"first.rpz", *(f"new-{number}.rpz" for number in range(4))} <= set(resident.files())


def test_records_that_were_deleted_before_they_were_read_are_told(
    kafka_broker: KafkaBroker, resident: Resident, sender: _Sender, topic: str
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
    kafka_broker: KafkaBroker, resident: Resident, sender: _Sender, topic: str
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
    assert set(resident.told()) == _FINE


def test_a_transfer_that_lost_its_head_never_becomes_a_file(
    kafka_broker: KafkaBroker, resident: Resident, sender: _Sender, topic: str
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


# Transactions


def test_an_aborted_transaction_leaves_no_file(
    kafka_broker: KafkaBroker, resident: Resident, sender: _Sender, make: MakeResident, topic: str
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
    assert set(resident.told()) == _FINE
    # Who begins now comes to an end although nothing readable is there.
    other = make(name="other")
    seen = other.read_to_the_end()
    assert list(seen.positions.values()) == [7]
    assert other.files() == resident.files()


def test_an_open_transaction_holds_back_what_follows_it(
    kafka_broker: KafkaBroker, resident: Resident, sender: _Sender, topic: str
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
    assert set(resident.told()) == _FINE


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
        log.publish(compacted, data, key=key, headers=_headers(name), timestamp=timestamp)

    for offset in range(4):
        send(offset, "a.rpz", b"%d" % offset)
    begun, fresh = make(name="begun", topic=compacted), make(name="fresh", topic=compacted)
    assert list(begun.read_to_the_end().positions.values()) == [4]
    for offset in range(4, 8):
        send(offset, "a.rpz", b"%d" % offset)
    for offset, name in enumerate(["b.rpz", "c.rpz", "d.rpz"], 8):
        send(offset, name, name.encode())
    _configure(kafka_broker, "BROKER", "1", {"log.cleaner.backoff.ms": "100"})
    _configure(kafka_broker, "TOPIC", compacted, {"min.compaction.lag.ms": "0"})
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


# Partitions


@pytest.mark.parametrize("start", Start)
def test_partitions_that_are_added_are_read_from_their_start(
    kafka_broker: KafkaBroker, make: MakeResident, sender: _Sender, topic: str, start: Start
) -> None:
    """1 becomes 4 while it is read: nothing is skipped, nothing is told but the files."""
    resident = make(start=start)
    sender.file("before.rpz")
    resident.start()
    resident.wait_for("caught_up")
    kafka_broker.add_partitions(topic, 4)
    # Another producer: the one before would look for new partitions after minutes only.
    sender = _Sender(RealLog(kafka_broker, "unused"), topic)
    for partition in range(4):
        sender.file(f"{partition}.rpz", partition=partition)
    for partition in range(4):
        resident.wait_for("committed", file=f"{partition}.rpz")
    for partition, position in enumerate([2, 1, 1, 1]):
        resident.wait_for_position(position, partition)
    resident.stop()

    before = ["before.rpz"] if start is Start.EARLIEST else []
    assert sorted(resident.files()) == [*(f"{number}.rpz" for number in range(4)), *before]
    assert set(resident.told()) == _FINE
    assert resident.told().count("caught_up") == 1
    assert sorted(resident.ledger().positions.values()) == [1, 1, 1, 2]


# Records that cannot be read


def test_a_record_that_cannot_be_decoded_is_told_once_and_passed_over(
    kafka_broker: KafkaBroker, log: RealLog, resident: Resident, sender: _Sender, topic: str
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
    tmp_path: Path, kafka_broker: KafkaBroker, sender: _Sender, topic: str, driver: str
) -> None:
    """One bit of a value flips: the checksum tells, the records around it arrive."""
    needle = b"the bytes that will be damaged"
    sender.file("a.rpz")
    producer = kafka_broker.producer(linger_ms=1000)
    for name in ("b.rpz", "c.rpz"):
        producer.produce(topic, needle * 1000, headers=[*_headers(name)])
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


# Outcomes, brokers and producers


def _ends(outcomes: Sequence[Outcome]) -> list[TransferEnded]:
    """Return how transfers ended."""
    return [outcome for outcome in outcomes if isinstance(outcome, TransferEnded)]


def _transactions(broker: KafkaBroker, topic: str) -> Producer:
    producer = broker.producer(transactional_id=f"of-{topic}")
    producer.init_transactions(30)
    return producer


def _send_in(producer: Producer, topic: str, *names: str) -> None:
    """Begin a transaction, and send files in it."""
    producer.begin_transaction()
    for name in names:
        producer.produce(topic, b"x", headers=[*_headers(name)])
    assert producer.flush(20) == 0


def _configure(broker: KafkaBroker, kind: str, name: str, words: Mapping[str, str]) -> None:
    """Change settings of the topic or broker *name*."""
    entries = [
        ConfigEntry(word, value, incremental_operation=AlterConfigOpType.SET)
        for word, value in words.items()
    ]
    resource = ConfigResource(ConfigResource.Type[kind], name, incremental_configs=entries)
    for changed in broker.admin().incremental_alter_configs([resource]).values():
        changed.result(20)


def _start_of(broker: KafkaBroker, topic: str) -> int:
    """Return the first offset that can be read."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "unused"})
    try:
        start: int = consumer.get_watermark_offsets(DriverPartition(topic, 0), timeout=10)[0]
    finally:
        consumer.close()
    return start


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
