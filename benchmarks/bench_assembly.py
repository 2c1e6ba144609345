"""
Assembly against its floor, and the cost of a chunk as transfers grow.

    python benchmarks/bench_assembly.py

*Floor*: one sequential write of the same bytes, SHA-256, fsync, rename, fsync
of the directory. *Ours*: the same bytes as records through engine, world and
disk, with the journal. *Growth*: CPU of the core per chunk, with the chunks
of one transfer already in memory, at 1,000 and at 100,000 chunks; then on
disk, against the floor with as many writes.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

from _measure import Result, interleave, report

from filesync import Engine, KafkaSettings, Record, Settings, TopicPartition
from filesync._effects import BatchPolled, Opened
from filesync._ledger import Ledger
from filesync._outcomes import Outcome, TransferEnded
from filesync.runtime import World, open_command_daemon
from filesync.transport import Health, Matcher, OffsetsResult, PartitionFound, Polled

SOURCE = TopicPartition("bench", 0)
MIB = 1 << 20
BATCH = 16


def records(count: int, data: bytes) -> list[Record]:
    """Return the records of one transfer of *count* chunks."""
    total = b"%d" % count
    return [
        Record(
            SOURCE,
            index,
            0.0,
            b"big.rpz",
            data,
            (
                ("hostname", b"ns1"),
                ("files-name", b"big.rpz"),
                ("total-chunks", total),
                ("chunk-index", b"%d" % (index + 1)),
            ),
        )
        for index in range(count)
    ]


class ListTransport:
    """Hands out records that are in memory, so that no broker is measured."""

    def __init__(self, log: list[Record], batch: int) -> None:
        self._log = log
        self._batch = batch
        self._next = -1

    def start(self) -> None:
        """Nothing to connect to."""

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """Return the next batch."""
        if self._next < 0:
            self._next = 0
            found = PartitionFound(source=SOURCE, start=0, end=0, topic_id="t", cluster_id="c")
            return Polled(faults=[found])
        batch = self._log[self._next : self._next + min(self._batch, max_records)]
        if not batch:
            time.sleep(min(timeout, 0.001))
            return Polled()
        self._next += len(batch)
        kept = [record for record in batch if wanted(record.key, record.headers)]
        return Polled(records=kept, positions={SOURCE: self._next})

    def assign(self, positions: object) -> None:
        """Reading goes on where it was."""

    def commit_offsets(self, _offsets: object) -> OffsetsResult:
        """Nobody to tell."""
        return OffsetsResult()

    _health = Health(up=True, cause="a list")

    def health(self) -> Health:
        """Always well."""
        return self._health

    def wake(self) -> None:
        """Polls are short."""

    def close(self, timeout: float) -> None:
        """Nothing to close."""


def ours(folder: str, log: list[Record], batch: int = BATCH) -> float:
    """Return the seconds from the first poll to the committed file."""
    files_dir = tempfile.mkdtemp(dir=folder)
    settings = Settings(hostname="ns1", kafka=KafkaSettings(topic="bench", files_dir=files_dir))
    ended: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        if isinstance(outcome, TransferEnded):
            ended.append(outcome)

    engine = Engine(settings)
    world = World(
        settings,
        ListTransport(log, batch),
        open_command_daemon({}, files_dir=files_dir),
        wanted=engine.wanted,
        tell=tell,
    )
    begun = time.perf_counter()
    while not ended:
        for event in world.wait():
            for effect in engine.handle(event):
                world.carry_out(effect)
    seconds = time.perf_counter() - begun
    world.close(10)
    if ended[0].label != "committed":
        raise SystemExit(f"not committed: {ended[0]}")
    shutil.rmtree(files_dir)
    return seconds


def floor(folder: str, log: list[Record]) -> float:
    """Return the seconds of the least that anybody must do."""
    files_dir = tempfile.mkdtemp(dir=folder)
    staged, target = os.path.join(files_dir, "a.tmp"), os.path.join(files_dir, "a")
    begun = time.perf_counter()
    sha256 = hashlib.sha256()
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT)
    for record in log:
        data = record.value or b""
        os.write(fd, data)
        sha256.update(data)
    os.fsync(fd)
    os.close(fd)
    os.rename(staged, target)
    directory = os.open(files_dir, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    seconds = time.perf_counter() - begun
    shutil.rmtree(files_dir)
    return seconds


def core_cpu_per_chunk(count: int, data: bytes) -> float:
    """Return CPU seconds per chunk of the core alone, for one transfer of *count*."""
    settings = Settings(hostname="ns1", kafka=KafkaSettings(topic="bench", files_dir="/bench"))
    log = records(count, data)
    batches = [log[at : at + 500] for at in range(0, count, 500)]
    engine = Engine(settings)
    engine.handle(Opened(0.0, Ledger()))
    found = PartitionFound(source=SOURCE, start=0, end=0, topic_id="t", cluster_id="c")
    engine.handle(BatchPolled(0.0, 0.0, Polled(faults=[found])))
    gc.collect()
    gc.disable()
    begun = time.process_time()
    for batch in batches:
        position = {SOURCE: batch[-1].offset + 1}
        engine.handle(BatchPolled(0.0, 0.0, Polled(records=batch, positions=position)))
    seconds = time.process_time() - begun
    gc.enable()
    return seconds / count


def growth(runs: int, measure: Callable[[int], float], small: int, large: int) -> float:
    """Return the median of cost per chunk at *large* over that at *small*, run in turn."""
    ratios = []
    for _ in range(runs):
        repeated = statistics.median(measure(small) for _ in range(9))
        ratios.append(measure(large) / repeated)
    return statistics.median(ratios)


def main() -> int:
    """Measure, print, and say by the exit status whether the promises are kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--dir", default=None, help="where to write; default: the system's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        log = records(arguments.mib * 2, os.urandom(MIB // 2))
        lowest, mine, ratio = interleave(
            arguments.runs, lambda: floor(folder, log), lambda: ours(folder, log)
        )
        print(f"{arguments.mib} MiB in 512 KiB chunks: floor {lowest:.3f} s, ours {mine:.3f} s")
        log = records(100_000, os.urandom(512))
        lowest, mine, many = interleave(
            3, lambda: floor(folder, log), lambda: ours(folder, log, 500)
        )
        print(f"100,000 chunks of 512 bytes on disk: floor {lowest:.3f} s, ours {mine:.3f} s")
    data = os.urandom(512)
    grown = growth(5, lambda count: core_cpu_per_chunk(count, data), 1_000, 100_000)
    print(f"core: {core_cpu_per_chunk(100_000, data) * 1e6:.2f} us per chunk at 100,000 chunks")
    print(f"100,000 chunks on disk: {many:.3f} of the floor's speed")
    return report(
        [
            Result("assembly over floor", ratio, 0.7, at_least=True),
            Result("CPU per chunk, 100,000 over 1,000", grown, 1.1, at_least=False),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
