"""Who publishes: a folder with files, a broker in memory, and what was told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import define, field

from filesync import (
    HealthChanged,
    KafkaSettings,
    Parting,
    Record,
    Schedule,
    Settings,
    ShipmentEnded,
)
from filesync.producer import Delivery, Outgoing
from filesync.runtime import FileToSend, Publisher, Receiver
from filesync.testing import MemoryBroker, MemoryProducer, MemoryTransport

__all__ = ["TOPIC", "Office", "Spying", "said"]

TOPIC = "files"


class Spying(MemoryProducer):
    """A producer of which each record is seen before it goes out."""

    before: Callable[[Outgoing], None] = staticmethod(lambda _record: None)
    polls = 0

    def send(self, record: Outgoing) -> None:
        self.before(record)
        super().send(record)

    def poll(self, timeout: float) -> Sequence[Delivery]:
        self.polls += 1
        return super().poll(timeout)


@define
class Office:
    """A folder with files, a broker, and what was told."""

    folder: Path
    broker: MemoryBroker = field(factory=MemoryBroker)
    told: list[ShipmentEnded | HealthChanged] = field(factory=list)
    progress: list[tuple[int, int]] = field(factory=list)
    settings: Settings = field(init=False)
    producer: Spying = field(init=False)

    def __attrs_post_init__(self) -> None:
        files_dir = self.folder / "files"
        files_dir.mkdir()
        self.settings = Settings(
            hostname="ns1",
            kafka=KafkaSettings(topic=TOPIC, files_dir=str(files_dir)),
            schedule=Schedule(quiet=0.0, max_wait=0.0, min_gap=0.0),
        )
        self.producer = Spying(self.broker, TOPIC, timeout=5.0)

    def file(self, name: str, data: bytes) -> FileToSend:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return FileToSend(str(path))

    def publisher(self, *, chunk_bytes: int = 4, timeout: float = 5.0) -> Publisher:
        return Publisher(
            self.settings,
            producer=self.producer,
            tell=self.told.append,
            progress=lambda *numbers: self.progress.append(numbers),
            chunk_bytes=chunk_bytes,
            timeout=timeout,
        )

    def publish(self, files: Sequence[FileToSend], *to: str) -> list[ShipmentEnded]:
        with self.publisher() as publisher:
            return publisher.publish(files, to)

    def records(self) -> list[Record]:
        topic = self.broker.find(TOPIC)
        assert topic is not None
        entries = itertools.chain.from_iterable(each.entries for each in topic.partitions)
        return [entry for entry in entries if isinstance(entry, Record)]

    def received(self) -> dict[str, bytes]:
        """Let a receiver read all that is there; return what it put in place."""
        receiver = Receiver(
            self.settings,
            transport=MemoryTransport(self.broker, TOPIC),
            finish_when_caught_up=True,
        )
        receiver.run()
        files_dir = Path(self.settings.kafka.files_dir)
        return {
            str(path.relative_to(files_dir)): path.read_bytes()
            for path in files_dir.rglob("*")
            if path.is_file() and not {".filesync", "0-0-0"} & {*path.parts}
        }


def said(ended: Sequence[ShipmentEnded]) -> list[tuple[str, str, Parting]]:
    """Return file, host and parting of each."""
    return [(each.shipment.name, each.shipment.hostname, each.parting) for each in ended]
