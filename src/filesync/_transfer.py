"""
One transfer, while it misses chunks and when it is whole.

Chunks that follow each other share a segment: in order, a transfer has one.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import Factory, define, field

from filesync._effects import AppendChunk
from filesync._ended import Pages
from filesync._model import Chunk, Claims, Origin, Target, TopicPartition, TransferKey
from filesync._plan import Segment
from filesync._values import frozen

__all__ = ["OpenTransfer", "Whole"]


@frozen(kw_only=True)
class Whole:
    """
    A transfer of which every chunk is stored.

    Attributes:
        key: Where its segments are.
        target: The file it is a version of.
        segments: In the order of the file.
        claims: What the sender says about the whole.
        origin: Its first record that was read.
        sources: The partitions that it pins.
    """

    key: TransferKey
    target: Target
    segments: tuple[Segment, ...]
    claims: Claims
    origin: Origin
    sources: tuple[TopicPartition, ...]


@define(kw_only=True)
class OpenTransfer:
    """
    A transfer that still misses chunks.

    Attributes:
        key: Where its segments are.
        target: The file it is a version of.
        count: Chunks in it.
        claims: What the sender says about the whole.
        origin: Its first record that was read.
        opened_at, touched_at: Instants of its first and its last chunk.
        last: The record of its last chunk.
        sources: The partitions that it pins.
        pages: The fingerprints of its chunks.
        received: Chunks that are stored.
        size: Bytes of them.
        repeats: Whether its first chunk is that of the version before.
        headless: Whether its first chunks may have been gone from the log
            before it was read.
    """

    key: TransferKey
    target: Target
    count: int
    claims: Claims
    origin: Origin
    opened_at: float
    touched_at: float
    last: Origin
    sources: dict[TopicPartition, None]
    pages: Pages = Factory(Pages)
    received: int = 0
    size: int = 0
    headless: bool = False
    repeats: bool = False
    #: Index that continues a segment -> first index of that segment.
    ends: dict[int, int] = field(factory=dict)
    #: First index of a segment -> its chunks, its bytes.
    chunks: dict[int, int] = field(factory=dict)
    bytes: dict[int, int] = field(factory=dict)

    @property
    def tracked(self) -> int:
        """How many fingerprints of it count against the limit: none of a single chunk."""
        return len(self.pages) if self.count > 1 else 0

    def append(self, chunk: Chunk, mark: int) -> AppendChunk:
        """Take a chunk that is new to it; return how to store it."""
        index, length = chunk.index, len(chunk.data)
        first = self.ends.pop(index, index)
        position = self.bytes.get(first, 0)
        self.ends[index + 1] = first
        self.chunks[first] = self.chunks.get(first, 0) + 1
        self.bytes[first] = position + length
        self.pages.put(index, mark)
        self.received += 1
        self.size += length
        self.last = chunk.origin
        self.sources[chunk.origin.source] = None
        return AppendChunk(self.key, self.target.name, first, position, chunk.data)

    def whole(self) -> Whole:
        """Return it as a whole: every chunk was taken."""
        segments = []
        first = 0
        while first < self.count:
            segments.append(Segment(first, self.bytes[first]))
            first += self.chunks[first]
        return Whole(
            key=self.key,
            target=self.target,
            segments=tuple(segments),
            claims=self.claims,
            origin=self.origin,
            sources=tuple(self.sources),
        )

    def missing(self, most: int) -> Iterator[int]:
        """Yield the indexes of *most* chunks that it misses, lowest first."""
        for index in range(self.count):
            if not self.pages.get(index):
                yield index
                most -= 1
                if not most:
                    return
