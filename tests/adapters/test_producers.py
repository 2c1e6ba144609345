"""Every driver's producer keeps the contract, on an embedded broker."""

from __future__ import annotations

import itertools
import os
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from filesync import KafkaSettings, SecurityProtocol, Settings, TopicPartition
from filesync.exceptions import TransportError
from filesync.producer import (
    Acknowledged,
    Delivery,
    NotDelivered,
    Outgoing,
    Producer,
    TopicLost,
    open_producer,
)
from support.promises import is_promised
from support.waiting import eventually

if TYPE_CHECKING:
    from confluent_kafka import Message

    from support.embedded import EmbeddedLog

#: By its name in the settings, a driver's package and the broker that it understands.
_DRIVERS = {
    "confluent-kafka": ("confluent_kafka", "broker"),
    "kafka-python": ("kafka", "old_broker"),
}

#: Sparing with connects is for production.
_HASTY: Mapping[str, Mapping[str, object]] = {
    "confluent-kafka": {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100},
    "kafka-python": {
        "reconnect_backoff_ms": 50,
        "reconnect_backoff_max_ms": 100,
        # Of newer versions the embedded broker knows no answer that this driver can decode.
        "api_version": "2.3",
    },
}

#: Seconds within which what goes well has gone well.
_SOON = 15.0

#: Seconds in which nothing more must come.
_A_WHILE = 0.2


class Rig:
    """
    A broker, and producers of one driver on it.

    Args:
        driver: Its name in the settings.
        log: The broker.
    """

    def __init__(self, driver: str, log: EmbeddedLog) -> None:
        self.driver = driver
        self.log = log
        self._opened: list[Producer] = []

    def open(
        self,
        topic: str,
        *,
        timeout: float = 30.0,
        options: Mapping[str, object] | None = None,
        **login: Any,
    ) -> Producer:
        """Return a producer that was not started; *login*: settings of Kafka."""
        kafka = KafkaSettings(
            topic=topic,
            servers=(self.log.address,),
            options={self.driver: {**_HASTY[self.driver], **(options or {})}},
            **login,
        )
        settings = Settings(hostname="sender.example", kafka=kafka)
        producer = open_producer(self.driver, settings, timeout=timeout)
        self._opened.append(producer)
        return producer

    def ready(
        self, topic: str, *, timeout: float = 30.0, options: Mapping[str, object] | None = None
    ) -> Producer:
        """Return a producer that may send."""
        producer = self.open(topic, timeout=timeout, options=options)
        producer.start()
        _until_up(producer)
        return producer

    def records(self, topic: str, counts: Mapping[int, int]) -> dict[int, list[Message]]:
        """Return what *topic* has, by partition; *counts* tells how many to wait for."""
        from confluent_kafka import Consumer  # noqa: PLC0415 - not everywhere.
        from confluent_kafka import TopicPartition as DriverPartition  # noqa: PLC0415

        consumer = Consumer({"bootstrap.servers": self.log.address, "group.id": "unused"})
        found: dict[int, list[Message]] = {partition: [] for partition in counts}
        total = sum(counts.values())

        def all_there() -> bool:
            for message in consumer.consume(total, timeout=0.1):
                assert message.error() is None
                partition = message.partition()
                assert partition is not None
                found[partition].append(message)
            return sum(map(len, found.values())) >= total

        try:
            consumer.assign([DriverPartition(topic, partition, 0) for partition in counts])
            eventually(all_there, _SOON, what=f"{total} records of {topic}")
        finally:
            consumer.close()
        return found

    def close(self) -> None:
        """End all; let the broker answer."""
        for producer in self._opened:
            producer.close(5)
        self.log.start()


def _rig(request: pytest.FixtureRequest, driver: str) -> Rig:
    package, broker = _DRIVERS[driver]
    for name, needed in ((driver, package), ("confluent-kafka", "confluent_kafka")):
        if not is_promised(name, needed):
            pytest.skip(f"this environment does not promise {name}, or no embedded broker")
    return Rig(driver, request.getfixturevalue(broker))


@pytest.fixture(name="rig", params=_DRIVERS)
def _each_rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Each driver in turn."""
    rig = _rig(request, request.param)
    yield rig
    rig.close()


@pytest.fixture(name="rigs")
def _all_rigs(request: pytest.FixtureRequest) -> Iterator[list[Rig]]:
    """All drivers at once."""
    rigs = [_rig(request, driver) for driver in _DRIVERS]
    yield rigs
    for rig in rigs:
        rig.close()


@pytest.fixture(name="topic")
def _topic() -> str:
    """Return a name that no other test uses; there is no such topic yet."""
    return f"producers-{uuid.uuid4().hex}"


def _in_use(rig: Rig, topic: str, *, timeout: float = 30.0) -> Producer:
    """Return a producer that has sent record 0, on a new topic."""
    rig.log.create_topic(topic)
    producer = rig.ready(topic, timeout=timeout)
    _send(producer, [0])
    _acknowledged(_gather(producer, 1))
    return producer


def _send(producer: Producer, tickets: Iterable[int]) -> None:
    """Send records of one key, the value of each its ticket."""
    for ticket in tickets:
        producer.send(Outgoing(ticket, b"a", b"%d" % ticket, []))


def _until_up(producer: Producer) -> None:
    def up() -> bool:
        assert producer.poll(0.05) == []
        return producer.health().up

    try:
        eventually(up, _SOON, what="good health")
    except AssertionError as exc:
        raise AssertionError(f"{exc}: {producer.health().cause}") from None


def _until_told(producer: Producer, *words: str, within: float) -> str:
    """Wait until health is bad and says *words*; return what it says."""

    def told() -> str:
        assert producer.poll(0.05) == []
        health = producer.health()
        assert not health.up
        return health.cause if all(word in health.cause for word in words) else ""

    return eventually(told, within, what=f"{words} in {producer.health().cause!r}")


def _gather(
    producer: Producer, count: int, within: float = _SOON
) -> list[Acknowledged | NotDelivered]:
    """Return *count* deliveries, and look that no other one follows."""
    gathered: list[Acknowledged | NotDelivered] = []

    def gather(timeout: float) -> None:
        told = producer.poll(timeout)
        gathered.extend(each for each in told if not isinstance(each, TopicLost))

    def enough() -> bool:
        gather(0.1)
        return len(gathered) >= count

    try:
        eventually(enough, within, what=f"{count} deliveries")
    except AssertionError as exc:
        raise AssertionError(f"{exc}; {len(gathered)} came: {gathered[:3]}") from None
    gather(_A_WHILE)
    assert sorted(each.ticket for each in gathered) == sorted({each.ticket for each in gathered})
    assert len(gathered) == count
    return gathered


def _acknowledged(deliveries: Sequence[Delivery]) -> dict[int, Acknowledged]:
    """Return *deliveries* by ticket; all are good."""
    assert [each for each in deliveries if isinstance(each, NotDelivered)] == []
    return {each.ticket: each for each in deliveries if isinstance(each, Acknowledged)}


def _refused(deliveries: Sequence[Delivery]) -> dict[int, str]:
    """Return why, by ticket; none is good."""
    assert [each for each in deliveries if isinstance(each, Acknowledged)] == []
    return {each.ticket: each.why for each in deliveries if isinstance(each, NotDelivered)}


# What arrives


def test_a_record_is_read_back_where_it_was_acknowledged(rig: Rig, topic: str) -> None:
    """Byte-equal, with its key, and its headers in their order."""
    rig.log.create_topic(topic, 3)
    headers = [("hostname", b"ns1"), ("empty", b""), ("twice", b"1"), ("twice", b"\x00\xff")]
    records = [
        Outgoing(1, b"a.rpz", b"value", headers),
        Outgoing(2, b"b.rpz", b"", headers),
        Outgoing(3, "\u00e9.rpz".encode(), random.Random(1).randbytes(300_000), []),
        Outgoing(4, b"d.rpz", b"\x00" * 5, [("\u00e9", b"x")]),
    ]
    producer = rig.ready(topic)
    for record in records:
        producer.send(record)
    told = _acknowledged(_gather(producer, len(records)))

    assert {each.source.topic for each in told.values()} == {topic}
    counts = Counter(each.source.partition for each in told.values())
    found = rig.records(topic, counts)
    for record in records:
        where = told[record.ticket]
        message = found[where.source.partition][where.offset]
        assert message.offset() == where.offset
        read = (message.key(), message.value(), message.headers() or [])
        assert read == (record.key, record.value, list(record.headers))


def test_records_of_a_partition_stay_in_order(rig: Rig, topic: str) -> None:
    """500 that are under way at once: as they were sent, so they are in the log, each once."""
    rig.log.create_topic(topic, 2)
    producer = rig.ready(topic)
    for ticket in range(500):
        producer.send(Outgoing(ticket, b"%d.rpz" % (ticket % 5), b"%d" % ticket, []))
    told = _acknowledged(_gather(producer, 500))

    by_partition: dict[int, list[Acknowledged]] = {}
    for ticket in sorted(told):
        by_partition.setdefault(told[ticket].source.partition, []).append(told[ticket])
    assert len(by_partition) == 2, "five keys, and all in one partition"
    found = rig.records(topic, {each: len(sent) for each, sent in by_partition.items()})
    for partition, sent in by_partition.items():
        assert [each.offset for each in sent] == list(range(len(sent)))
        assert [each.value() for each in found[partition]] == [b"%d" % it.ticket for it in sent]


#: Of these keys the hash is known: UtilsTest of Apache Kafka, `testMurmur2`.
_HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}

_KEYS = [
    *_HASHES,
    *[b"", b" ", b"\x00", b"\x00\x00\x00\x00", b".", b"a", b"\xff\xfe"],
    *[
        name.encode()
        for name in ("\u00e9t\u00e9.rpz", "\u96f6.yaml", "\U0001f4e6", "a/b.rpz", "ns1.example")
    ],
    *[b"block.rpz", b"x" * 255],
]


def test_a_key_decides_the_partition_the_same_with_every_driver(
    rigs: list[Rig], topic: str
) -> None:
    """And as Kafka's own producer has it; a key that comes again goes where it went."""
    assert len(_KEYS) == 20
    places = []
    for rig in rigs:
        rig.log.create_topic(topic, 7)
        producer = rig.ready(topic)
        keys = _KEYS * 3
        for ticket, key in enumerate(keys):
            producer.send(Outgoing(ticket, key, b"x", []))
        told = _acknowledged(_gather(producer, len(keys)))
        found = [(key, told[ticket].source.partition) for ticket, key in enumerate(keys)]
        assert len(set(found)) == len(_KEYS), f"{rig.driver}: one key, several partitions"
        places.append(dict(found))

    assert places[0] == places[1]
    assert {key: places[0][key] for key in _HASHES} == {
        key: (number & 0x7FFFFFFF) % 7 for key, number in _HASHES.items()
    }


# Weather


def test_a_topic_that_is_missing_is_told_and_never_created(rig: Rig, topic: str) -> None:
    """Looked for again and again; when somebody creates it, health comes up by itself."""
    producer = rig.open(topic)
    producer.start()
    cause = _until_told(producer, topic, within=10)
    assert "create it, or correct kafka.topic" in cause
    producer.poll(1.5)  # It looks every second.
    assert producer.health().cause == cause, "it stays"

    rig.log.create_topic(topic)  # Raises if there is one.
    _until_up(producer)
    _send(producer, [1])
    assert _acknowledged(_gather(producer, 1))[1].source == TopicPartition(topic, 0)


def test_a_topic_that_is_deleted_is_not_created_again(rig: Rig, topic: str) -> None:
    """Records for it are not delivered; and it stays deleted."""
    producer = _in_use(rig, topic, timeout=1)
    rig.log.delete_topic(topic)
    _send(producer, [1])

    assert list(_refused(_gather(producer, 1))) == [1]
    rig.log.create_topic(topic)  # Raises if there is one.


def test_what_was_meant_for_a_lost_topic_does_not_go_into_the_next_one(
    rig: Rig, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it is lost is told first; what was under way is given up, long before its time."""
    for module in ("filesync_confluent_kafka", "filesync_kafka_python"):
        if module in sys.modules:
            monkeypatch.setattr(f"{module}._producer._REFRESH", 0.2)
    producer = _in_use(rig, topic, timeout=60)
    rig.log.delete_topic(topic)
    _send(producer, range(1, 6))
    told: list[Delivery] = []

    def given_up() -> bool:
        told.extend(producer.poll(0.1))
        return len(told) >= 6

    eventually(given_up, _SOON, what="six that are told")
    assert isinstance(told[0], TopicLost)
    assert sorted(_refused(told[1:])) == [1, 2, 3, 4, 5]

    rig.log.create_topic(topic)
    _until_up(producer)
    _send(producer, [6])
    assert _acknowledged(_gather(producer, 1))[6].offset == 0


def test_a_broker_that_is_down_at_the_start_is_waited_for(rig: Rig, topic: str) -> None:
    """`start` neither blocks nor raises; health tells soon, and comes up when the broker does."""
    rig.log.create_topic(topic)
    rig.log.stop()
    producer = rig.open(topic)
    began = time.monotonic()
    producer.start()
    assert time.monotonic() - began < 1
    assert not producer.health().up
    _until_told(producer, "cannot reach a broker", rig.log.address, "kafka.server", within=12)
    rig.log.start()
    _until_up(producer)
    _send(producer, [1])
    _acknowledged(_gather(producer, 1))


def test_a_broker_that_comes_back_in_time_loses_nothing(rig: Rig, topic: str) -> None:
    """Records that were sent while it was away arrive once each, in order."""
    producer = _in_use(rig, topic)
    rig.log.stop()
    _send(producer, range(1, 51))
    assert producer.poll(_A_WHILE) == []
    rig.log.start()

    told = _acknowledged(_gather(producer, 50))
    assert [told[ticket].offset for ticket in range(1, 51)] == list(range(1, 51))
    found = rig.records(topic, {0: 51})[0]
    assert [each.value() for each in found] == [b"%d" % ticket for ticket in range(51)]


def test_what_was_given_up_at_the_end_is_not_sent_later(rig: Rig, topic: str) -> None:
    """Closed while the broker is away: when it comes back, nothing comes."""
    producer = _in_use(rig, topic)
    rig.log.stop()
    _send(producer, range(1, 21))
    assert producer.poll(_A_WHILE) == []
    producer.close(5)
    rig.log.start()
    other = rig.ready(topic)
    _send(other, [21])
    _acknowledged(_gather(other, 1))
    assert other.poll(_A_WHILE) == []
    _send(other, [22])
    assert _acknowledged(_gather(other, 1))[22].offset == 2


def test_a_broker_that_is_away_for_too_long_ends_every_record(rig: Rig, topic: str) -> None:
    """Once each, soon, with what to do; and then the same producer sends again."""
    producer = _in_use(rig, topic, timeout=1)
    rig.log.stop()
    began = time.monotonic()
    _send(producer, range(1, 41))
    why = _refused(_gather(producer, 40))
    assert 0.9 <= time.monotonic() - began <= 9
    assert sorted(why) == list(range(1, 41))
    for each in set(why.values()):
        assert each.startswith("not acknowledged within 1 s: ")
        assert "kafka.server" in each
        assert "\n" not in each

    rig.log.start()
    _until_up(producer)
    tickets = itertools.count(41)

    def acknowledged() -> list[Acknowledged]:
        """Health is what the client that looks has found; the one that sends may come later."""
        _send(producer, [next(tickets)])
        return [told for told in _gather(producer, 1) if isinstance(told, Acknowledged)]

    (last,) = eventually(acknowledged, _SOON)
    found = rig.records(topic, {0: last.offset + 1})[0]
    assert found[-1].value() == b"%d" % last.ticket


# Beginning and end


@pytest.mark.parametrize(
    ("sent", "up"),
    [
        pytest.param(False, False, id="first-records-no-broker"),
        pytest.param(True, False, id="no-broker"),
        pytest.param(True, True, id="broker"),
    ],
)
def test_closing_waits_for_nobody(rig: Rig, topic: str, *, sent: bool, up: bool) -> None:
    """With records under way; twice is fine; then nothing runs, and it is of no more use."""
    rig.log.create_topic(topic)
    before = set(threading.enumerate())
    producer = rig.ready(topic)
    if sent:
        producer.send(Outgoing(200, b"a", b"x", []))
        _acknowledged(_gather(producer, 1))
    if not up:
        rig.log.stop()
    for ticket in range(200):
        producer.send(Outgoing(ticket, b"a", b"x" * 1000, []))
    producer.poll(0)
    began = time.monotonic()
    producer.close(20)
    assert time.monotonic() - began < 3
    producer.close(20)
    assert time.monotonic() - began < 3

    assert not producer.health().up
    for use in _uses(producer):
        with pytest.raises(TransportError, match=r"closed|once"):
            use()
    # One that still runs would send what was given up, as soon as it can.
    eventually(
        lambda: not [each.name for each in threading.enumerate() if each not in before],
        5,
        what="no thread is left, of the driver neither",
    )


def test_one_that_was_not_started_cannot_be_used(rig: Rig, topic: str) -> None:
    """It says so; it can be closed."""
    producer = rig.open(topic)
    assert not producer.health().up
    for use in _uses(producer)[1:]:
        with pytest.raises(TransportError, match="not started"):
            use()
    producer.close(5)
    producer.close(5)


def test_it_is_started_once(rig: Rig, topic: str) -> None:
    """A second start is refused, and harms nothing."""
    rig.log.create_topic(topic)
    producer = rig.open(topic)
    producer.start()
    with pytest.raises(TransportError, match="once"):
        producer.start()
    _until_up(producer)


def test_a_secret_is_read_once(rig: Rig, tmp_path: Path) -> None:
    """All clients of a producer come in with the same one, though it be replaced meanwhile."""
    pipe = tmp_path / "password"
    os.mkfifo(pipe)
    readers: list[bool] = []
    over = threading.Event()

    def serve() -> None:
        while True:
            with pipe.open("wb") as file:
                if over.is_set():
                    return
                readers.append(True)
                pipe.unlink()  # The next reader gets another one, this one its end.
                os.mkfifo(pipe)
                file.write(b"opens the broker\n")

    server = threading.Thread(target=serve)
    server.start()
    producer = rig.open(
        "secrets",
        security_protocol=SecurityProtocol.SASL_PLAINTEXT,
        sasl_mechanism="PLAIN",
        sasl_username="sender",
        sasl_password_file=str(pipe),
    )
    try:
        producer.start()
    finally:
        over.set()
        last = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        server.join(_SOON)
        os.close(last)
    assert readers == [True]


def _uses(producer: Producer) -> list[Callable[[], object]]:
    return [
        producer.start,
        lambda: producer.send(Outgoing(1, b"a", b"x", [])),
        lambda: producer.poll(0),
    ]


# Options


_REFUSED: Mapping[str, Mapping[str, object]] = {
    "confluent-kafka": {
        "acks": 1,
        "request.required.acks": 1,
        "enable.idempotence": False,
        "partitioner": "random",
        "partitioner_cb": "x",
        "delivery.timeout.ms": 1000,
        "message.timeout.ms": 1000,
        "bootstrap.servers": "x:1",
        "transactional.id": "x",
    },
    "kafka-python": {
        "acks": 1,
        "enable_idempotence": False,
        "partitioner": "random",
        "delivery_timeout_ms": 1000,
        "bootstrap_servers": "x:1",
        "transactional_id": "x",
        "retries": 1,
    },
}


@pytest.mark.parametrize(
    ("driver", "option"),
    [(driver, option) for driver, options in _REFUSED.items() for option in options],
)
def test_an_option_that_a_guarantee_rests_on_is_refused(
    request: pytest.FixtureRequest, driver: str, option: str
) -> None:
    """At the start, and named."""
    rig = _rig(request, driver)
    producer = rig.open("options", options={option: _REFUSED[driver][option]})
    with pytest.raises(TransportError, match=option):
        producer.start()
    producer.close(1)


def test_what_the_drivers_queue_does_not_take_is_told(
    request: pytest.FixtureRequest, topic: str
) -> None:
    """Who bounds it below what is under way loses records, but not their tickets."""
    rig = _rig(request, "confluent-kafka")
    rig.log.create_topic(topic)
    producer = rig.ready(topic, timeout=1, options={"queue.buffering.max.messages": 5})
    rig.log.stop()
    try:
        _send(producer, range(10))
        why = _refused(_gather(producer, 10))
    finally:
        rig.close()
    full = [ticket for ticket, each in why.items() if "queue is full" in each]
    assert full == [5, 6, 7, 8, 9]
