"""
Publishing: the publisher against a bare producer loop of the same driver.

    python benchmarks/bench_publish.py

Both send the same bytes in 512 KiB chunks to a real Apache Kafka, with the
same settings of the driver: acknowledged by all replicas, idempotent. Time runs
from the first record to the last acknowledgement. The bare loop sends one chunk
from memory again and again; the publisher reads a file from the page cache, and
takes its SHA-256. Where the broker runs on the same machine as both, processor
time is short, and that shows.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import Result, interleave, report

from filesync import KafkaSettings, Parting, Settings
from filesync._codec import encode_headers
from filesync._model import Claims
from filesync.producer import Outgoing, Producer, open_producer
from filesync.runtime import FileToSend, Publisher

if TYPE_CHECKING:
    from support.kafka import KafkaBroker

MIB = 1024 * 1024
CHUNK = 512 * 1024
WINDOW = 64
TIMEOUT = 60.0


class Timed:
    """A producer that notes when its first record was sent."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.begun = 0.0
        self.start, self.poll = producer.start, producer.poll
        self.health, self.close = producer.health, producer.close

    def send(self, record: Outgoing) -> None:
        """Pass it on."""
        self.begun = self.begun or time.perf_counter()
        self._producer.send(record)


def headers(index: int, size: int) -> list[tuple[str, bytes]]:
    """Return the headers of a chunk, as the publisher writes them."""
    claims = Claims(transfer_id="0" * 32, size=size, generation=1)
    count = size // CHUNK
    return encode_headers(
        hostname="ns1.example", name="block.rpz", index=index, count=count, claims=claims
    )


def bare_confluent(settings: Settings, size: int) -> float:
    """Return bytes per second of a loop that produces."""
    from confluent_kafka import Producer as Driver  # noqa: PLC0415

    from filesync_confluent_kafka._config import producer_config  # noqa: PLC0415

    driver = Driver(producer_config(settings, TIMEOUT))
    driver.list_topics(settings.kafka.topic, timeout=TIMEOUT)
    data = os.urandom(CHUNK)
    begun = time.perf_counter()
    for index in range(size // CHUNK):
        while len(driver) >= WINDOW:
            driver.poll(0.1)
        driver.produce(
            settings.kafka.topic, value=data, key=b"block.rpz", headers=headers(index, size)
        )
        driver.poll(0)
    assert driver.flush(TIMEOUT) == 0
    return size / (time.perf_counter() - begun)


def bare_python(settings: Settings, size: int) -> float:
    """Return the same of kafka-python."""
    from kafka import KafkaProducer  # noqa: PLC0415

    from filesync_kafka_python._config import producer_config  # noqa: PLC0415

    driver = KafkaProducer(**producer_config(settings, TIMEOUT))
    driver.partitions_for(settings.kafka.topic)
    data = os.urandom(CHUNK)
    room = threading.Semaphore(WINDOW)
    begun = time.perf_counter()
    for index in range(size // CHUNK):
        room.acquire()
        sent = driver.send(
            settings.kafka.topic, value=data, key=b"block.rpz", headers=headers(index, size)
        )
        sent.add_callback(lambda _told: room.release())
    for _ in range(WINDOW):
        room.acquire()
    seconds = time.perf_counter() - begun
    driver.close()
    return size / seconds


def our_rate(settings: Settings, path: str, size: int) -> float:
    """Return bytes per second of the publisher."""
    producer = Timed(open_producer(settings.driver, settings, timeout=TIMEOUT))
    with Publisher(settings, producer=producer, chunk_bytes=CHUNK, timeout=TIMEOUT) as publisher:
        (ended,) = publisher.publish([FileToSend(path, "block.rpz")], ["ns1.example"])
        seconds = time.perf_counter() - producer.begun
    assert ended.parting is Parting.SENT, ended
    return size / seconds


def against_bare(broker: KafkaBroker, driver: str, path: str, *, runs: int, size: int) -> Result:
    """Measure *driver*, the publisher and a bare loop by turns; print, and return the ratio."""
    rounds = iter(range(1000))

    def settings() -> Settings:
        topic = f"{driver}-{next(rounds)}"
        broker.create_topic(topic)
        kafka = KafkaSettings(topic=topic, servers=(broker.bootstrap,), files_dir="/unused")
        return Settings(hostname="ns1.example", kafka=kafka, driver=driver)

    def in_a_new_topic(rate: str) -> float:
        given = settings()
        try:
            if rate == "ours":
                return our_rate(given, path, size)
            return (bare_confluent if driver == "confluent-kafka" else bare_python)(given, size)
        finally:
            broker.delete_topic(given.kafka.topic)

    ours, bare, ratio = interleave(
        runs, lambda: in_a_new_topic("ours"), lambda: in_a_new_topic("bare")
    )
    print(f"{driver}: bare loop {bare / MIB:,.0f}, ours {ours / MIB:,.0f} MiB/s", flush=True)
    return Result(f"{driver}: published, ours over bare", ratio, 0.9, at_least=True)


def main() -> int:
    """Measure, print, and say by the exit status whether the promises are kept."""
    from support.kafka import KafkaBroker  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--mib", type=int, default=1024)
    arguments = parser.parse_args()
    size = arguments.mib * MIB
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "block.rpz")
        with path.open("wb") as file:
            for _ in range(arguments.mib):
                file.write(os.urandom(MIB))
        broker = KafkaBroker(Path(folder, "broker"))
        broker.start()
        try:
            results = [
                against_bare(broker, driver, str(path), runs=arguments.runs, size=size)
                for driver in ("confluent-kafka", "kafka-python")
            ]
        finally:
            broker.destroy()
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
