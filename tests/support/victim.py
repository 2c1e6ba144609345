"""
A receiver that is meant to be killed: ``python victim.py FILES-DIR VERSIONS``.

Its broker is in the same process. The log is the same in every run: of two
files one version after another, each in the same records. So what a process
that was killed did not come to do, the next one finds in its log again.
"""

from __future__ import annotations

import random
import sys
import threading

from filesync import KafkaSettings, Outcome, Schedule, Settings, TransferEnded
from filesync.runtime import Receiver
from filesync.runtime._memory import MemoryBroker, MemoryTransport

__all__ = [
    "FILES",
    "RECORDS",
    "TOPIC",
    "content",
    "first_record",
    "publish",
    "settings",
    "version_of",
]

TOPIC = "files"

#: In how many records a version of each file comes, in the order of the log.
FILES = {"b/a.rpz": 3, "c.yaml": 1}
RECORDS = sum(FILES.values())

#: Bytes of a version, more or less: enough for a write to take a moment.
_SIZE = 20_000

#: Transfers that may be under way before another version is published.
_AHEAD = 8


def content(name: str, version: int) -> bytes:
    """Return what a version of a file consists of."""
    line = b"# %d of %s\n" % (version, name.encode())
    return b"version: %d\n" % version + line * (_SIZE // len(line) + version % 7)


def version_of(name: str, data: bytes) -> int:
    """Return which version *data* is; fail if it is no whole one."""
    first = data.partition(b"\n")[0]
    assert first.startswith(b"version: "), data[:80]
    version = int(first.removeprefix(b"version: "))
    assert data == content(name, version), f"version {version} of {name} is not whole"
    return version


def first_record(name: str, version: int) -> int:
    """Return the offset of the first record of a version of a file."""
    before = sum(count for other, count in FILES.items() if other < name)
    return version * RECORDS + before


def publish(broker: MemoryBroker, version: int) -> None:
    """Append a version of every file to the log."""
    for name, count in FILES.items():
        data = content(name, version)
        order = list(range(count))
        random.Random(version).shuffle(order)
        for index in order:
            slice_ = data[index * len(data) // count : (index + 1) * len(data) // count]
            headers: list[tuple[str, bytes | None]] = [
                ("hostname", b"ns1"),
                ("file-name", name.encode()),
                ("total-chunks", b"%d" % count),
                ("chunk-index", b"%d" % (index + 1)),
            ]
            broker.publish(TOPIC, slice_, headers=headers)


def settings(files_dir: str) -> Settings:
    """Return settings with which actions follow at once, so that they are recorded too."""
    return Settings(
        hostname="ns1",
        kafka=KafkaSettings(topic=TOPIC, files_dir=files_dir),
        schedule=Schedule(quiet=0.0, max_wait=0.0, min_gap=0.0),
    )


def main(files_dir: str, versions: int) -> None:
    """Publish and receive until killed; print a line for every file that became visible."""
    broker = MemoryBroker()
    broker.create_topic(TOPIC)
    room = threading.Semaphore(_AHEAD)

    def tell(outcome: Outcome) -> None:
        sys.stdout.write(f"{outcome.label}\n")
        sys.stdout.flush()
        if isinstance(outcome, TransferEnded):
            room.release()

    for version in range(versions):
        publish(broker, version)
    Receiver(settings(files_dir), transport=MemoryTransport(broker, TOPIC), tell=tell).start()
    while True:
        for _ in FILES:
            room.acquire()
        publish(broker, versions)
        versions += 1


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
