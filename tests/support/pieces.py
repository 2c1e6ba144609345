"""Chunks, whole transfers, ledgers, a disk in memory: what tests of the core are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import reduce

from attrs import define, field
from hypothesis import settings

from filesync._effects import AppendChunk, DropTransfer
from filesync._ledger import Ledger, decode, replay
from filesync._model import Chunk, Claims, Kind, Origin, Target, TopicPartition, TransferKey
from filesync._plan import Segment
from filesync._transfer import Whole

__all__ = ["P0", "P1", "SpoolDisk", "chunk", "examples", "ledger_of", "origin", "target", "whole"]

P0 = TopicPartition("files", 0)
P1 = TopicPartition("files", 1)


def examples(quick: int, steps: int = 50) -> settings:
    """Return settings for *quick* examples of *steps* steps; a longer profile gets its own."""
    profile = settings.get_current_profile_name()
    if profile == "long":
        return settings()
    return settings(max_examples=quick, stateful_step_count=steps)


def target(name: str) -> Target:
    """Return the file *name*; what ends in .yaml is configuration."""
    return Target(name=name, kind=Kind.CONFIG if name.endswith(".yaml") else Kind.DATA)


def origin(
    offset: int,
    source: TopicPartition = P0,
    *,
    timestamp: float | None = None,
    generation: int | None = None,
) -> Origin:
    """Return the place of a record."""
    return Origin(source=source, offset=offset, timestamp=timestamp, generation=generation)


def chunk(
    offset: int,
    index: int,
    count: int,
    data: bytes,
    *,
    source: TopicPartition = P0,
    name: str = "a.rpz",
    timestamp: float | None = None,
    claims: Claims | None = None,
) -> Chunk:
    """Return a chunk, the record of which is at *offset*; *index* is from 0."""
    claims = Claims() if claims is None else claims
    return Chunk(
        name=name,
        index=index,
        count=count,
        data=data,
        origin=origin(offset, source, timestamp=timestamp, generation=claims.generation),
        claims=claims,
    )


def whole(name: str, started: Origin, *, turn: int = 0, size: int = 1) -> Whole:
    """Return a transfer of *name* that is stored in one segment."""
    return Whole(
        key=TransferKey(started.source.partition, started.offset, turn),
        target=target(name),
        segments=(Segment(0, size),),
        claims=Claims(generation=started.generation),
        origin=started,
        sources=(started.source,),
    )


def ledger_of(journal: bytes) -> Ledger:
    """Return what the whole lines of *journal* add up to."""
    entries, _ = decode(journal)
    return reduce(replay, entries, Ledger())


@define
class SpoolDisk:
    """What is stored of transfers that have no outcome yet."""

    stored: dict[tuple[TransferKey, str], dict[int, bytearray]] = field(
        factory=lambda: defaultdict(dict)
    )

    def carry_out(self, effects: Iterable[object]) -> None:
        """Store and drop what *effects* say; a chunk goes exactly where its segment ends."""
        for effect in effects:
            match effect:
                case AppendChunk(transfer, name, segment, position, data):
                    stored = self.stored[transfer, name].setdefault(segment, bytearray())
                    assert position == len(stored), "a hole, or bytes that are written twice"
                    stored += data
                case DropTransfer(transfer, name):
                    self.stored.pop((transfer, name), None)

    def take(self, done: Whole) -> bytes:
        """Return the bytes of *done*, and remove what is stored of it."""
        stored = self.stored.pop((done.key, done.target.name))
        assert {segment.first: segment.size for segment in done.segments} == {
            first: len(data) for first, data in stored.items()
        }, "the segments are not what is stored"
        return b"".join(bytes(stored[segment.first]) for segment in done.segments)
