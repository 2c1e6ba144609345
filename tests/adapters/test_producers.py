"""Every driver's producer keeps the contract, on an embedded broker."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from filesync import SecurityProtocol
from filesync.exceptions import TransportError
from filesync.producer import Acknowledged, Outgoing, Producer
from support.producers import SOON, Rig, acknowledged, gather, refused, rig_of, send, until_up
from support.waiting import eventually

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
    told = acknowledged(gather(producer, len(records)))

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
    told = acknowledged(gather(producer, 500))

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
        told = acknowledged(gather(producer, len(keys)))
        found = [(key, told[ticket].source.partition) for ticket, key in enumerate(keys)]
        assert len(set(found)) == len(_KEYS), f"{rig.driver}: one key, several partitions"
        places.append(dict(found))

    assert places[0] == places[1]
    assert {key: places[0][key] for key in _HASHES} == {
        key: (number & 0x7FFFFFFF) % 7 for key, number in _HASHES.items()
    }


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
        acknowledged(gather(producer, 1))
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
    until_up(producer)


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
        server.join(SOON)
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
    rig = rig_of(request, driver)
    producer = rig.open("options", options={option: _REFUSED[driver][option]})
    with pytest.raises(TransportError, match=option):
        producer.start()
    producer.close(1)


def test_what_the_drivers_queue_does_not_take_is_told(
    request: pytest.FixtureRequest, topic: str
) -> None:
    """Who bounds it below what is under way loses records, but not their tickets."""
    rig = rig_of(request, "confluent-kafka")
    rig.log.create_topic(topic)
    producer = rig.ready(topic, timeout=1, options={"queue.buffering.max.messages": 5})
    rig.log.stop()
    try:
        send(producer, range(10))
        why = refused(gather(producer, 10))
    finally:
        rig.close()
    full = [ticket for ticket, each in why.items() if "queue is full" in each]
    assert full == [5, 6, 7, 8, 9]
