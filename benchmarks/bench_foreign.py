"""
Records for other hosts: through the core, and through a real broker.

    python benchmarks/bench_foreign.py

*Core*: the matcher is asked about each record, the engine is handed one event
per batch. *Broker*: a real Apache Kafka holds small records for other hosts;
the receiver reads them all, and so does a bare loop of the same driver, with
the same settings, that polls and reads key and headers.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import Result, interleave, report
from attrs import evolve

from filesync import CaughtUp, Engine, KafkaSettings, Outcome, Settings, TopicPartition
from filesync._effects import BatchPolled, Opened
from filesync._ledger import Ledger
from filesync.runtime import World, open_command_daemon
from filesync.transport import PartitionFound, Polled, open_transport

if TYPE_CHECKING:
    from support.kafka import KafkaBroker

BATCH = 500


def core_rate(count: int) -> float:
    """Return foreign records per second through matcher and engine."""
    settings = Settings(hostname="ns1.example", kafka=KafkaSettings(files_dir="/bench"))
    source = TopicPartition("bench", 0)
    hosts = [b"ns%d.example" % number for number in range(2, 502)]
    batch = [
        (
            b"block.rpz",
            (
                ("hostname", host),
                ("files-name", b"block.rpz"),
                ("total-chunks", b"200"),
                ("chunk-index", b"%d" % (index + 1)),
            ),
        )
        for index, host in enumerate(hosts)
    ]
    engine = Engine(settings)
    engine.handle(Opened(0.0, Ledger()))
    found = PartitionFound(source=source, start=0, end=0, topic_id="t", cluster_id="c")
    engine.handle(BatchPolled(0.0, 0.0, Polled(faults=[found])))
    begun = time.perf_counter()
    for done in range(0, count, BATCH):
        wanted, passed = engine.wanted, 0
        for key, headers in batch:
            passed += not wanted(key, headers)
        polled = Polled(positions={source: done + BATCH}, passed_over=passed)
        engine.handle(BatchPolled(0.0, 0.0, polled))
    return count / (time.perf_counter() - begun)


def fill(broker: KafkaBroker, topic: str, count: int) -> None:
    """Publish *count* small records for other hosts."""
    producer = broker.producer()
    for number in range(count):
        headers = [
            ("hostname", b"ns%d.example" % (2 + number % 500)),
            ("files-name", b"block.rpz"),
            ("total-chunks", b"200"),
            ("chunk-index", b"%d" % (1 + number % 200)),
        ]
        while True:
            try:
                producer.produce(topic, key=b"block.rpz", value=b"x" * 200, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush(60)


def bare_confluent(settings: Settings, count: int) -> float:
    """Return records per second of a loop that polls and reads key and headers."""
    from confluent_kafka import Consumer  # noqa: PLC0415
    from confluent_kafka import TopicPartition as Place  # noqa: PLC0415

    from filesync_confluent_kafka._config import consumer_config  # noqa: PLC0415

    consumer = Consumer(consumer_config(settings))
    consumer.assign([Place(settings.kafka.topic, 0, 0)])
    seen, begun = 0, 0.0
    while seen < count:
        first = consumer.poll(1)
        if first is None or first.error() is not None:
            continue
        begun = begun or time.perf_counter()
        for message in [first, *consumer.consume(BATCH - 1, 0)]:
            if message.error() is None:
                message.key()
                message.headers()
                seen += 1
    seconds = time.perf_counter() - begun
    consumer.close()
    return count / seconds


def bare_python(settings: Settings, count: int) -> float:
    """Return the same of kafka-python."""
    from kafka import KafkaConsumer  # noqa: PLC0415
    from kafka import TopicPartition as Place  # noqa: PLC0415

    from filesync_kafka_python._config import consumer_config  # noqa: PLC0415

    consumer = KafkaConsumer(**consumer_config(settings))
    place = Place(settings.kafka.topic, 0)
    consumer.assign([place])
    consumer.seek(place, 0)
    seen, begun = 0, 0.0
    while seen < count:
        batches = consumer.poll(timeout_ms=1000, max_records=BATCH)
        begun = begun or (time.perf_counter() if batches else 0.0)
        for records in batches.values():
            for record in records:
                _ = record.key
                _ = record.headers
            seen += len(records)
    seconds = time.perf_counter() - begun
    consumer.close(autocommit=False)
    return count / seconds


def our_rate(settings: Settings, count: int) -> float:
    """Return records per second of the receiver, from its first batch to being caught up."""
    with tempfile.TemporaryDirectory() as files_dir:
        settings = evolve(settings, kafka=evolve(settings.kafka, files_dir=files_dir))
        engine = Engine(settings)
        done: list[Outcome] = []

        def tell(outcome: Outcome) -> None:
            if isinstance(outcome, CaughtUp):
                done.append(outcome)

        world = World(
            settings,
            open_transport(settings.driver, settings),
            open_command_daemon({}, files_dir=files_dir),
            wanted=engine.wanted,
            tell=tell,
        )
        begun = 0.0
        while not done:
            for event in world.wait():
                if isinstance(event, BatchPolled) and event.polled.passed_over and not begun:
                    begun = time.perf_counter()
                for effect in engine.handle(event):
                    world.carry_out(effect)
        seconds = time.perf_counter() - begun
        world.close(10)
    return count / seconds


def against_bare(broker: KafkaBroker, driver: str, *, runs: int, records: int) -> Result:
    """Measure *driver*, the receiver and a bare loop by turns; print, and return the ratio."""
    settings = Settings(
        hostname="ns1.example",
        kafka=KafkaSettings(
            topic="foreign", servers=(broker.bootstrap,), files_dir="/given-by-each-run"
        ),
        driver=driver,
    )
    bare_rate = bare_confluent if driver == "confluent-kafka" else bare_python
    ours, bare, ratio = interleave(
        runs, lambda: our_rate(settings, records), lambda: bare_rate(settings, records)
    )
    print(f"{driver}: bare loop {bare:,.0f}, ours {ours:,.0f} records per second")
    return Result(f"{driver}: foreign records, ours over bare", ratio, 0.85, at_least=True)


def main() -> int:
    """Measure, print, and say by the exit status whether the promises are kept."""
    from support.kafka import KafkaBroker  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--records", type=int, default=500_000)
    arguments = parser.parse_args()
    core = statistics.median(core_rate(1_000_000) for _ in range(5))
    print(f"core: {core:,.0f} foreign records per second")
    results = [Result("foreign records in the core", core, 1_000_000, at_least=True, unit="/s")]
    with (
        tempfile.TemporaryDirectory() as folder,
        KafkaBroker(Path(folder, "broker")) as broker,
    ):
        broker.create_topic("foreign")
        fill(broker, "foreign", arguments.records)
        results += [
            against_bare(broker, driver, runs=arguments.runs, records=arguments.records)
            for driver in ("confluent-kafka", "kafka-python")
        ]
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
