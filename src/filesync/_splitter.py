"""
A file to chunk records: the publisher's pure half.

The file is not read here. `split` says which bytes go into which record, so
that a publisher of a large file reads a slice at a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from filesync._codec import encode_headers
from filesync._model import MAX_NUMBER, Claims
from filesync._values import frozen

__all__ = ["DEFAULT_CHUNK_BYTES", "Slice", "chunk_count", "chunk_range", "split"]

#: 512 KiB: with headers well under the 1 MB that brokers accept by default.
DEFAULT_CHUNK_BYTES = 512 * 1024


@frozen(kw_only=True)
class Slice:
    """
    One record to send.

    Attributes:
        start, stop: Which bytes of the file are its value.
        key: The file's name; for people and for the partitioner.
        headers: In order.
    """

    start: int
    stop: int
    key: bytes
    headers: list[tuple[str, bytes]]


def chunk_count(size: int, chunk_bytes: int) -> int:
    """
    Return into how many chunks a file of *size* bytes is cut; an empty one is one chunk.

    Raises:
        ValueError: *chunk_bytes* is below 1 or *size* below 0.
    """
    if chunk_bytes < 1 or size < 0:
        raise ValueError(f"{size} bytes in chunks of {chunk_bytes}")
    return max(1, -(-size // chunk_bytes))


def chunk_range(index: int, size: int, chunk_bytes: int) -> tuple[int, int]:
    """Return where chunk *index*, from 0, starts and stops in the file."""
    start = index * chunk_bytes
    return start, min(size, start + chunk_bytes)


def split(
    *,
    hostname: str,
    name: str,
    size: int,
    claims: Claims,
    chunk_bytes: int = DEFAULT_CHUNK_BYTES,
) -> Iterator[Slice]:
    """
    Yield the records of a file of *size* bytes, in order; an empty file is one record.

    Raises:
        ValueError: *chunk_bytes* is below 1, *size* below 0, or there would
            be more chunks than can be counted.
    """
    count = chunk_count(size, chunk_bytes)
    if count > MAX_NUMBER:
        raise ValueError(f"{count} chunks; at most {MAX_NUMBER} can be counted")
    for index in range(count):
        start, stop = chunk_range(index, size, chunk_bytes)
        yield Slice(
            start=start,
            stop=stop,
            key=name.encode(),
            headers=encode_headers(
                hostname=hostname, name=name, index=index, count=count, claims=claims
            ),
        )
