"""
The nouns: records, chunks, files.

Values are frozen and check themselves once, when they are built. `Record` is
the exception: it is built by the million, so it is a bare `NamedTuple`, and
`filesync._codec` is where it is checked.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import NamedTuple

import attrs

from filesync._values import frozen

__all__ = [
    "MAX_GENERATION",
    "MAX_NUMBER",
    "MAX_TRANSFER_ID_BYTES",
    "ChangedFile",
    "Chunk",
    "Claims",
    "CommittedFile",
    "Headers",
    "Kind",
    "Origin",
    "Record",
    "Target",
    "TopicPartition",
    "TransferKey",
]

#: The largest number that a header may carry: 10 decimal digits.
MAX_NUMBER = 9_999_999_999

#: Of a header that names a transfer.
MAX_TRANSFER_ID_BYTES = 256

#: 20 decimal digits: a little more than 64 bits.
MAX_GENERATION = 99_999_999_999_999_999_999

#: Header names and values, in the record's order, repeats kept, never None.
Headers = Sequence[tuple[str, "bytes | None"]]


class Kind(enum.Enum):
    """What a file is to the daemon, and so which action makes it served."""

    #: Block lists and other data: *renew*.
    DATA = "data"
    #: Configuration: checked before it becomes visible, then *reload*.
    CONFIG = "config"


@attrs.frozen(order=True, cache_hash=True)
class TopicPartition:
    """One ordered sub-log of a topic; *partition* counts from 0."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]"


class Record(NamedTuple):
    """
    One entry of the log, as it was read.

    Attributes:
        source: Where it was read.
        offset: Its index in the partition, from 0.
        timestamp: Seconds since 1970, None when the broker gave none.
        key: None and ``b""`` are different.
        value: None is a tombstone, ``b""`` an empty file.
        headers: In the record's order, repeats kept.
    """

    source: TopicPartition
    offset: int
    timestamp: float | None
    key: bytes | None
    value: bytes | None
    headers: Headers


@frozen(kw_only=True)
class Claims:
    """
    What a sender says about a whole transfer (profile L1); each may be None.

    Attributes:
        transfer_id: New for every attempt to send.
        size: Bytes of the whole file, at least 0.
        digest: SHA-256 of the whole file, 32 raw bytes.
        generation: Unsigned; a larger one is a newer version of the file.

    Raises:
        ValueError: One of them cannot be written as a header.

    Source: docs/reference/wire-format.md, "Optional headers".
    """

    transfer_id: str | None = None
    size: int | None = None
    digest: bytes | None = None
    generation: int | None = None

    def __attrs_post_init__(self) -> None:
        if self.transfer_id is not None and not (
            0 < len(self.transfer_id.encode()) <= MAX_TRANSFER_ID_BYTES
        ):
            raise ValueError(f"a transfer id has 1 to {MAX_TRANSFER_ID_BYTES} bytes")
        if self.size is not None and not 0 <= self.size <= MAX_NUMBER:
            raise ValueError(f"a file of {self.size} bytes cannot be announced")
        if self.digest is not None and len(self.digest) != 32:
            raise ValueError(f"a SHA-256 digest has 32 bytes, not {len(self.digest)}")
        if self.generation is not None and not 0 <= self.generation <= MAX_GENERATION:
            raise ValueError(f"a generation of {self.generation} cannot be announced")

    def joined(self, other: Claims) -> Claims | None:
        """
        Return what two chunks of one transfer say together; None: they contradict each other.

        Only the digest may be in one and not in the other: who sends a file
        while he reads it knows it at the end.
        """
        if self == other:
            return self
        digest = self.digest or other.digest
        mine, theirs = (
            attrs.evolve(claims, digest=claims.digest or digest) for claims in (self, other)
        )
        return mine if mine == theirs else None


@frozen(kw_only=True)
class Origin:
    """
    Where in the log a transfer started; with *generation*, how old it is.

    Attributes:
        source: Partition of its first record that was read.
        offset: Offset of that record.
        timestamp: Seconds since 1970 of that record, None when unknown.
        generation: What the sender claimed, None when it claimed nothing.
    """

    source: TopicPartition
    offset: int
    timestamp: float | None = None
    generation: int | None = None

    def age_against(self, other: Origin) -> int | None:
        """
        Return -1, 0 or 1: this is older than, the same as, newer than *other*.

        None: it cannot be told. Two generations decide; else the place in one
        partition; else the time of the first record.

        Source: docs/explanation/delivery.md, "Which version is newer".
        """
        mine: float | None = self.generation
        theirs: float | None = other.generation
        if mine is None or theirs is None or mine == theirs:
            if self.source == other.source:
                mine, theirs = self.offset, other.offset
            else:
                mine, theirs = self.timestamp, other.timestamp
                if mine is None or theirs is None or mine == theirs:
                    return None
        return (mine > theirs) - (mine < theirs)

    def __str__(self) -> str:
        return f"{self.source}@{self.offset}"


@frozen(kw_only=True)
class Chunk:
    """
    One slice of a file, carried by exactly one record.

    Attributes:
        name: The file's name as the sender wrote it, not yet trusted.
        index: Position in the transfer, from 0 (the wire counts from 1).
        count: Chunks in the transfer, at least 1.
        data: The slice itself.
        origin: The record that carried it.
        claims: What the sender says about the whole file.

    Source: docs/reference/wire-format.md, "Required headers".
    """

    name: str
    index: int
    count: int
    data: bytes
    origin: Origin
    claims: Claims


@frozen(kw_only=True)
class Target:
    """
    A file that may be written.

    Attributes:
        name: Relative to files-dir, parts joined by ``/``, checked by
            `filesync._names`.
        kind: Which action makes a new version served.
    """

    name: str
    kind: Kind


@attrs.frozen(order=True, cache_hash=True)
class TransferKey:
    """
    Names one transfer's place on disk: the record that opened it.

    *turn* tells apart transfers of two logs that had the same name.
    """

    partition: int
    offset: int
    turn: int = 0

    def __str__(self) -> str:
        return f"{self.partition}-{self.offset}-{self.turn}"


@frozen(kw_only=True)
class CommittedFile:
    """
    One version of one file that readers see.

    Attributes:
        name: Relative to files-dir.
        kind: Which action makes it served.
        digest: SHA-256 of its bytes, 32 raw bytes.
        size: In bytes.
        sequence: Number of this commit, from 1, growing with every commit.
        origin: Where its transfer started; None when that log is gone.
    """

    name: str
    kind: Kind
    digest: bytes
    size: int
    sequence: int
    origin: Origin | None


@frozen(kw_only=True)
class ChangedFile:
    """
    A committed file, as a daemon is told of it.

    Attributes:
        name: Relative to files-dir.
        path: Absolute.
        digest: SHA-256, 32 raw bytes.
        kind: Data or configuration.
    """

    name: str
    path: str
    digest: bytes
    kind: Kind
