"""`filesync publish` as a process of its own, and what a topic holds afterwards."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import frozen
from confluent_kafka import Consumer, Message
from confluent_kafka import TopicPartition as DriverPartition

from support.kafka import KafkaBroker
from support.waiting import eventually

__all__ = [
    "SENT",
    "STOPPED",
    "TRANSPORT",
    "UNSENT",
    "Log",
    "Publish",
    "Publishing",
    "Settings",
    "Tag",
    "new_topic",
]

#: With which status it ends: all was sent, some was not, the log is away, it was stopped.
SENT, UNSENT, TRANSPORT, STOPPED = 0, 1, 4, 5

Settings = Mapping[str, object]

#: Seconds within which a publish that needs no mending ends.
_PATIENCE = 60.0


class Publishing:
    """
    A `filesync publish` that runs, and what it has said.

    Args:
        folder: It writes its output there.
        words: Of the command line.
    """

    def __init__(self, folder: Path, words: Iterable[str]) -> None:
        number = uuid.uuid4().hex
        self._out = folder / f"{number}.out"
        self._err = folder / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "filesync", "publish", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        """What it printed."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it complained of."""
        return self._err.read_text()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait(self, timeout: float = _PATIENCE) -> int:
        """Return its exit status."""
        return self.process.wait(timeout)

    def ended(self, status: int) -> bool:
        """Whether it ends with *status*, with all that it said if not."""
        found = self.wait()
        assert found == status, f"exit status {found}\n{self.out}\n{self.err}"
        return True

    def kill(self) -> None:
        """End it if it still runs."""
        if self.runs:
            self.process.kill()
        self.process.wait()


#: What starts one; see the fixture ``publish``.
Publish = Callable[..., Publishing]


class Log:
    """
    What a topic holds, as a reader sees it that knows nothing of files.

    Args:
        broker: Has it.
        topic: Its name.
    """

    def __init__(self, broker: KafkaBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic

    def ends(self) -> dict[int, int]:
        """Return where each partition ends."""
        consumer = self._consumer()
        try:
            partitions = consumer.list_topics(self._topic, timeout=10).topics[self._topic]
            return {
                partition: consumer.get_watermark_offsets(
                    DriverPartition(self._topic, partition), timeout=10
                )[1]
                for partition in partitions.partitions
            }
        finally:
            consumer.close()

    def wait_for(self, records: int, publishing: Publishing) -> int:
        """Wait until there are so many in partition 0, while *publishing* runs."""
        consumer = self._consumer()
        source = DriverPartition(self._topic, 0)

        def enough() -> int:
            assert publishing.runs, f"it ended too early\n{publishing.out}\n{publishing.err}"
            end: int = consumer.get_watermark_offsets(source, timeout=10)[1]
            return end if end >= records else 0

        try:
            return eventually(enough, 30, what=f"{records} records in {self._topic}")
        finally:
            consumer.close()

    def records(self) -> list[Message]:
        """Return all that is there now."""
        ends = self.ends()
        total = sum(ends.values())
        consumer = self._consumer()
        found: list[Message] = []

        def all_read() -> bool:
            for message in consumer.consume(min(total, 1000), timeout=0.2):
                assert message.error() is None
                found.append(message)
            return len(found) >= total

        try:
            consumer.assign([DriverPartition(self._topic, partition, 0) for partition in ends])
            eventually(lambda: total == 0 or all_read(), 30, what=f"{total} records")
        finally:
            consumer.close()
        return found

    def _consumer(self) -> Consumer:
        return Consumer({"bootstrap.servers": self._broker.bootstrap, "group.id": "unused"})


@frozen
class Tag:
    """What a record says that it carries."""

    hostname: str
    name: str
    transfer: str
    index: int

    @classmethod
    def of(cls, message: Message) -> Tag:
        """Read it from the headers."""
        headers = dict(message.headers() or [])
        texts = {
            name: value.decode() for name, value in headers.items() if isinstance(value, bytes)
        }
        return cls(
            texts["hostname"],
            texts["file-name"],
            texts["transfer-id"],
            int(texts.get("chunk-index", "1")),
        )


def new_topic(
    broker: KafkaBroker, partitions: int = 1, config: Mapping[str, str] | None = None
) -> str:
    """Return the name of a new topic, on a broker that runs."""
    broker.start()
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name, partitions, config)
    return name
