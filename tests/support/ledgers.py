"""Entries of a journal, and what they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce

from attrs import evolve

from filesync._ledger import Entry, Ledger, LogSeen, replay
from filesync._model import CommittedFile, Kind, Origin, TopicPartition
from filesync.transport import PartitionFound
from support.pieces import P0

__all__ = ["LOG", "OTHER", "committed", "found", "meaning", "origins", "replayed"]

OTHER = TopicPartition("other", 0)

LOG = LogSeen(topic="files", topic_id="id-1", cluster_id="c-1", epoch=0)


def committed(
    name: str, sequence: int, origin: Origin | None = None, digest: bytes = bytes(32)
) -> CommittedFile:
    """Return a committed data file."""
    return CommittedFile(
        name=name, kind=Kind.DATA, digest=digest, size=3, sequence=sequence, origin=origin
    )


def replayed(history: Iterable[Entry]) -> Ledger:
    """Return the ledger that *history* adds up to."""
    return reduce(replay, history, Ledger())


def meaning(ledger: Ledger) -> Ledger:
    """Return *ledger* without what nobody asks for: when a log was first seen."""
    logs = {topic: evolve(log, epoch=0) for topic, log in ledger.logs.items()}
    return evolve(ledger, logs=logs)


def origins(ledger: Ledger) -> dict[str, int | None]:
    """Return by name the offset that each file came from."""
    return {
        name: None if file.origin is None else file.origin.offset
        for name, file in ledger.files.items()
    }


def found(
    source: TopicPartition = P0, topic_id: str | None = "id-1", cluster_id: str | None = "c-1"
) -> PartitionFound:
    """Return the news that *source* is there."""
    return PartitionFound(source=source, start=0, end=0, topic_id=topic_id, cluster_id=cluster_id)
