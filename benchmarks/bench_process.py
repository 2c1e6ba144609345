"""
filesync as a process beside a bare consumer: peak memory, and CPU when idle.

    python benchmarks/bench_process.py

*Bare*: a process that polls with the same driver and the same settings, and
looks at every value. Both read the same file, in 512 KiB chunks, from a real
Apache Kafka; then both idle on the empty rest of the topic.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from _measure import Result, report

if TYPE_CHECKING:
    from support.kafka import KafkaBroker

CHUNK = 512 * 1024
MIB = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")

BARE = """
import sys
from confluent_kafka import Consumer, TopicPartition
from filesync import KafkaSettings, Settings
from filesync_confluent_kafka._config import consumer_config
address, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = Settings(
    hostname="bare", kafka=KafkaSettings(topic=topic, servers=(address,), files_dir="/bench"))
consumer = Consumer(consumer_config(settings))
consumer.assign([TopicPartition(topic, 0, 0)])
seen = 0
while True:
    message = consumer.poll(0.2)
    if message is not None and message.error() is None:
        message.key(), message.headers(), len(message.value())
        seen += 1
        if seen == count:
            print("done", flush=True)
"""

SETTINGS = """
hostname: ns1
kafka: {{enable: true, topic: {topic}, server: "{address}", files-dir: {files_dir}}}
filesync: {{driver: confluent-kafka}}
"""


def publish(broker: KafkaBroker, topic: str, size: int) -> int:
    """Publish one file of *size* bytes; return how many chunks it has."""
    producer = broker.producer()
    count = size // CHUNK
    for index in range(count):
        headers = [
            ("hostname", b"ns1"),
            ("files-name", b"big.rpz"),
            ("total-chunks", b"%d" % count),
            ("chunk-index", b"%d" % (index + 1)),
        ]
        producer.produce(topic, key=b"big.rpz", value=os.urandom(CHUNK), headers=headers)
        producer.flush(30)
    return count


def peak(process: subprocess.Popen[bytes]) -> int:
    """Return the most bytes of memory that *process* ever had."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM")


def cpu(process: subprocess.Popen[bytes]) -> float:
    """Return the CPU seconds that *process* has used."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def start_bare(address: str, topic: str, count: int) -> subprocess.Popen[bytes]:
    """Start the bare consumer, and wait until it has read everything."""
    process = subprocess.Popen(
        [sys.executable, "-c", BARE, address, topic, str(count)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def start_ours(folder: str, address: str, topic: str) -> subprocess.Popen[bytes]:
    """Start filesync on a new files-dir, and wait until the file is committed."""
    files_dir = tempfile.mkdtemp(dir=folder)
    settings = Path(folder, "settings.yaml")
    settings.write_text(SETTINGS.format(topic=topic, address=address, files_dir=files_dir))
    process = subprocess.Popen(
        [sys.executable, "-m", "filesync", "run", "-c", str(settings)], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:
        if b"event=caught_up" in line:
            return process
    raise RuntimeError("filesync ended early")


def main() -> int:
    """Measure, print, and say by the exit status whether the promises are kept."""
    from support.kafka import KafkaBroker  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--idle", type=float, default=30.0, help="seconds")
    arguments = parser.parse_args()
    excess, busier = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        KafkaBroker(Path(folder, "broker")) as broker,
    ):
        broker.create_topic("big")
        count = publish(broker, "big", arguments.mib * MIB)
        for _ in range(arguments.runs):
            ours = start_ours(folder, broker.bootstrap, "big")
            bare = start_bare(broker.bootstrap, "big", count)
            excess.append((peak(ours) - peak(bare)) / MIB)
            print(f"peak: ours {peak(ours) / MIB:.1f} MiB, bare {peak(bare) / MIB:.1f} MiB")
            time.sleep(7)  # What follows a commit is over: renew, positions, offsets.
            before = cpu(ours), cpu(bare)
            time.sleep(arguments.idle)
            used = cpu(ours) - before[0], cpu(bare) - before[1]
            busier.append(100 * (used[0] - used[1]) / arguments.idle)
            print(f"idle for {arguments.idle:g} s: ours {used[0]:.2f} s, bare {used[1]:.2f} s")
            for process in (ours, bare):
                process.kill()
                process.wait()
    return report(
        [
            Result(
                "peak memory over bare", statistics.median(excess), 32, at_least=False, unit=" MiB"
            ),
            Result("idle CPU over bare", statistics.median(busier), 0.5, at_least=False, unit=" %"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
