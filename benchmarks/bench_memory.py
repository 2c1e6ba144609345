"""
The profiles of docs/how-to/low_memory.md: peak memory of filesync, with both drivers.

    python benchmarks/bench_memory.py

Every profile receives 1 GiB in 512 KiB chunks, a file in each partition, from a
real Apache Kafka, as a process of its own, with the very settings of the page;
only topic, server and files-dir are ours. *Import* is an interpreter that has
imported the driver, *at rest* a filesync with the same settings that has
received a file of a few bytes. Above it stands what moves: the driver's prefetch, and a batch.
What is remembered, and the check of a configuration, are measured by themselves.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from _measure import Result, report
from bench_process import CHUNK, MIB, peak

from filesync import Limits
from filesync._assembler import Assembler
from filesync._model import Chunk, Claims, Kind, Origin, Target, TopicPartition

if TYPE_CHECKING:
    from support.kafka import KafkaBroker

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "low_memory.md"
DRIVERS = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}

_BLOCK = re.compile(r"^```yaml\n(.*?)^```$", re.DOTALL | re.MULTILINE)

#: What glibc's allocator gives back to the system depends on how many heaps it has.
ONE_ARENA = {"MALLOC_ARENA_MAX": "1"}

#: Bytes, by limit, that one of what it counts may take; of a configuration, for each byte of it.
WORST = {"tracked-chunks": 300, "open-transfers": 4096, "remembered": 1024, "config-bytes": 16}

#: Bytes for what the allocator cannot give back.
ALLOWANCE = 4 * MIB

#: Seconds after which what follows a commit is over.
REST = 7.0

#: Checks a configuration of so many bytes, all of it short keys: the worst that was found.
CONFIGURATION = """
import resource
from filesync._validation import check_configuration
data = b"".join(b"k%x: \\n" % number for number in range({size} // 9))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
check_configuration("x.yaml", data, max_bytes=1 << 30, max_depth=100)
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((after - before) * 1024 / len(data))
"""


def profiles() -> dict[str, dict[str, Any]]:
    """Return the settings files of the page, by driver."""
    found = {}
    for text in _BLOCK.findall(PAGE.read_text("utf-8")):
        settings = yaml.safe_load(text)
        found[settings["filesync"]["driver"]] = settings
    return found


def bound(driver: str, settings: dict[str, Any], partitions: int, brokers: int = 1) -> int:
    """Return the page's sum, in bytes: what the driver holds, two batches, an allowance."""
    options = settings["kafka"]["options"][driver]
    if driver == "confluent-kafka":
        queue = int(options["queued.max.messages.kbytes"]) * 1024
        held = queue + brokers * int(options["fetch.max.bytes"])
        return held + 2 * (4 * MIB + held) + ALLOWANCE
    held = partitions * int(options["max_partition_fetch_bytes"])
    copies = (brokers + 4) * int(options["fetch_max_bytes"])
    return held + copies + 2 * held + ALLOWANCE


def publish(broker: KafkaBroker, topic: str, partitions: int, count: int, size: int) -> None:
    """Publish a file of *count* chunks of *size* bytes in each partition, all in turn."""
    producer = broker.producer()
    for index in range(count):
        for partition in range(partitions):
            headers = [
                ("hostname", b"ns1.example"),
                ("files-name", b"big%d.rpz" % partition),
                ("total-chunks", b"%d" % count),
                ("chunk-index", b"%d" % (index + 1)),
            ]
            value = os.urandom(size)
            producer.produce(topic, value=value, headers=headers, partition=partition)
        producer.flush(30)


def resident(process: subprocess.Popen[Any]) -> int:
    """Return the bytes of memory that *process* has now."""
    fields = Path(f"/proc/{process.pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def import_peak(modules: str) -> int:
    """Return the peak of an interpreter that has imported *modules*."""
    code = f"import {modules}\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            return peak(process)
        finally:
            process.kill()


class Received(NamedTuple):
    """Bytes of memory of a process at most and at rest, and seconds until it had caught up."""

    peak: int
    after: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"peak {self.peak / MIB:.0f} MiB, after it {self.after / MIB:.0f} MiB, "
            f"in {self.seconds:.1f} s"
        )


def receive(
    folder: str, settings: dict[str, Any], address: str, topic: str, environment: dict[str, str]
) -> Received:
    """Run filesync until it has caught up, and `REST` seconds more."""
    files_dir = tempfile.mkdtemp(dir=folder)
    ours = {"topic": topic, "server": address, "files-dir": files_dir}
    path = Path(folder, "settings.yaml")
    path.write_text(yaml.safe_dump({**settings, "kafka": {**settings["kafka"], **ours}}))
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "filesync", "run", "-c", str(path)],
        stderr=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    try:
        if not any(b"event=caught_up" in line for line in process.stderr):
            raise RuntimeError("filesync ended early")
        seconds = time.monotonic() - started
        time.sleep(REST)
        return Received(peak(process), resident(process), seconds)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(files_dir)


def without_profile(settings: dict[str, Any]) -> dict[str, Any]:
    """Return *settings* with every option and limit at its default."""
    kafka = {name: value for name, value in settings["kafka"].items() if name != "options"}
    ours = {name: value for name, value in settings["filesync"].items() if name != "limits"}
    return {**settings, "kafka": kafka, "filesync": ours}


def measure(folder: str, broker: KafkaBroker, partitions: int) -> list[Result]:
    """Measure every driver with every profile; print, and return what was promised."""
    results = []
    for driver, settings in profiles().items():
        for name, profile, environment in [
            ("default", without_profile(settings), {}),
            ("default, one arena", without_profile(settings), ONE_ARENA),
            ("low memory", settings, {}),
            ("low memory, one arena", settings, ONE_ARENA),
        ]:
            rest = receive(folder, profile, broker.bootstrap, f"small{partitions}", environment)
            full = receive(folder, profile, broker.bootstrap, f"full{partitions}", environment)
            label = f"{driver}, {partitions} partition(s), {name}"
            print(f"{label}: at rest {rest.peak / MIB:.0f} MiB, {full}", flush=True)
            if profile is settings:
                above = (full.peak - rest.peak) / MIB
                promise = bound(driver, settings, partitions) / MIB
                results.append(_at_most(f"{label}, above rest", above, promise, unit=" MiB"))
    return results


def _at_most(name: str, value: float, bound: float, unit: str = "") -> Result:
    return Result(name, value, bound, at_least=False, unit=unit)


def cost(count: int, fill: Callable[[Assembler, int], None]) -> float:
    """Return the bytes of memory that each of *count* things takes in an assembler."""
    tracemalloc.start()
    assembler = Assembler(Limits(chunks_per_file=10 * count, open_transfers=count))
    for number in range(count):
        fill(assembler, number)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / count


def chunk(number: int, name: str, index: int, count: int, transfer_id: str | None) -> Chunk:
    """Return a chunk of one byte, the *number*-th record of its partition."""
    origin = Origin(source=TopicPartition("files", 0), offset=number)
    claims = Claims(transfer_id=transfer_id)
    return Chunk(name=name, index=index, count=count, data=b"x", origin=origin, claims=claims)


def state() -> list[Result]:
    """Measure what the assembler remembers, and the check of a configuration, at their worst."""
    a_file = Target(name="a.rpz", kind=Kind.DATA)

    def backwards(assembler: Assembler, number: int) -> None:
        assembler.add(chunk(number, "a.rpz", 150_000 - number, 200_000, "id"), a_file, 0.0)

    def opened(assembler: Assembler, number: int) -> None:
        name = f"zone{number:06}.rpz"
        target = Target(name=name, kind=Kind.DATA)
        assembler.add(chunk(number, name, 0, 2, f"{number:032}"), target, 0.0)

    def ended(assembler: Assembler, number: int) -> None:
        for index in range(2):
            assembler.add(chunk(number, "a.rpz", index, 2, f"{number:032}"), a_file, 0.0)

    grown = subprocess.run(
        [sys.executable, "-c", CONFIGURATION.format(size=4 * MIB)],
        capture_output=True,
        check=True,
    )
    return [
        _at_most(f"{name}, each", measured, WORST[name], unit=" B")
        for name, measured in [
            ("tracked-chunks", cost(100_000, backwards)),
            ("open-transfers", cost(1000, opened)),
            ("remembered", cost(4096, ended)),
            ("config-bytes", float(grown.stdout)),
        ]
    ]


def main() -> int:
    """Measure, print, and say by the exit status whether the page's sums hold."""
    from support.kafka import KafkaBroker  # noqa: PLC0415

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024)
    parser.add_argument("--partitions", type=int, nargs="+", default=[1, 8])
    arguments = parser.parse_args()
    for driver, module in DRIVERS.items():
        ours = f"filesync_{driver.replace('-', '_')}, filesync.__main__, filesync.runtime"
        bare, loaded = import_peak(module) / MIB, import_peak(ours) / MIB
        print(f"{driver}: import {bare:.0f} MiB, with filesync {loaded:.0f} MiB")
    results = state()
    with tempfile.TemporaryDirectory() as folder:
        broker = KafkaBroker(Path(folder, "broker"))
        broker.start()
        try:
            for partitions in arguments.partitions:
                chunks = arguments.mib * MIB // CHUNK // partitions
                for topic, count, size in [("small", 1, 16), ("full", chunks, CHUNK)]:
                    broker.create_topic(f"{topic}{partitions}", partitions)
                    publish(broker, f"{topic}{partitions}", partitions, count, size)
                results += measure(folder, broker, partitions)
        finally:
            broker.destroy()
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
