"""A file becomes records that a receiver puts together again."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync._codec import decode
from filesync._model import Chunk, Claims, Origin, Record, TopicPartition
from filesync._splitter import DEFAULT_CHUNK_BYTES, Slice, split
from filesync.exceptions import FileSyncError
from strategies import claims, file_names

P0 = TopicPartition("files", 0)


def pieces(size: int, chunk_bytes: int = 10) -> list[Slice]:
    """Return the slices of a file of *size* bytes."""
    return list(
        split(hostname="ns1", name="a.rpz", size=size, claims=Claims(), chunk_bytes=chunk_bytes)
    )


@pytest.mark.parametrize(
    ("size", "ranges"),
    [
        (0, [(0, 0)]),
        (1, [(0, 1)]),
        (9, [(0, 9)]),
        (10, [(0, 10)]),
        (11, [(0, 10), (10, 11)]),
        (20, [(0, 10), (10, 20)]),
        (25, [(0, 10), (10, 20), (20, 25)]),
    ],
)
def test_every_byte_is_in_one_record(size: int, ranges: list[tuple[int, int]]) -> None:
    """All chunks but the last are full; an empty file is one record."""
    assert [(piece.start, piece.stop) for piece in pieces(size)] == ranges


def test_the_records_of_a_file_say_where_they_belong() -> None:
    """Key and headers of each record, as they go out."""
    names = [("hostname", b"ns1"), ("files-name", b"a.rpz"), ("file-name", b"a.rpz")]
    assert pieces(11) == [
        Slice(
            start=start,
            stop=stop,
            key=b"a.rpz",
            headers=[*names, ("total-chunks", b"2"), ("chunk-index", index)],
        )
        for start, stop, index in [(0, 10, b"1"), (10, 11, b"2")]
    ]
    assert pieces(10) == [Slice(start=0, stop=10, key=b"a.rpz", headers=names)]


def test_a_chunk_has_half_a_mebibyte() -> None:
    """By default: with headers it is well under what brokers accept."""
    size = 2 * 512 * 1024 + 1
    default = list(split(hostname="ns1", name="a", size=size, claims=Claims()))
    assert [piece.stop - piece.start for piece in default] == [524_288, 524_288, 1]
    assert DEFAULT_CHUNK_BYTES == 524_288


def test_a_file_of_any_size_is_split_at_once() -> None:
    """Records are made when they are asked for: a publisher sends the first at once."""
    slices = split(hostname="ns1", name="a", size=10**13, claims=Claims(), chunk_bytes=10_000)
    assert [(piece.start, piece.stop) for piece in islice(slices, 2)] == [
        (0, 10_000),
        (10_000, 20_000),
    ]


@pytest.mark.parametrize(
    ("size", "chunk_bytes", "told"),
    [
        (5, 0, "5 bytes in chunks of 0"),
        (5, -1, "5 bytes in chunks of -1"),
        (-1, 5, "-1 bytes in chunks of 5"),
    ],
)
def test_an_impossible_size_is_refused(size: int, chunk_bytes: int, told: str) -> None:
    """Nothing can be cut into pieces of nothing, and no file has less than no bytes."""
    with pytest.raises(ValueError, match=f"^{told}$"):
        pieces(size, chunk_bytes)


def test_the_smallest_chunk_is_one_byte() -> None:
    """The bound itself is good."""
    assert [(piece.start, piece.stop) for piece in pieces(2, 1)] == [(0, 1), (1, 2)]


@given(
    data=st.binary(max_size=200),
    chunk_bytes=st.integers(1, 50),
    hostname=st.text(st.characters(codec="utf-8")),
    name=file_names(),
    claims=claims(),
)
def test_what_is_split_decodes_to_the_same_file(
    data: bytes, chunk_bytes: int, hostname: str, name: str, claims: Claims
) -> None:
    """Records sent one after another decode to chunks that join to the file."""
    slices = split(
        hostname=hostname, name=name, size=len(data), claims=claims, chunk_bytes=chunk_bytes
    )
    chunks = [
        decode(
            Record(P0, offset, None, piece.key, data[piece.start : piece.stop], piece.headers),
            routed_by_hostname=True,
        )
        for offset, piece in enumerate(slices)
    ]
    assert b"".join(chunk.data for chunk in chunks) == data
    assert chunks == [
        Chunk(
            name=name,
            index=index,
            count=len(chunks),
            data=chunk.data,
            origin=Origin(source=P0, offset=index, generation=claims.generation),
            claims=claims,
        )
        for index, chunk in enumerate(chunks)
    ]
    assert all(0 < len(chunk.data) <= chunk_bytes for chunk in chunks) or not data
    assert len({len(chunk.data) for chunk in chunks[:-1]}) <= 1


@pytest.mark.parametrize(
    ("claim", "size"),
    [
        pytest.param({"transfer_id": ""}, 1, id="empty-id"),
        pytest.param({"transfer_id": "t" * 257}, 1, id="long-id"),
        pytest.param({"size": -1}, 1, id="negative-size"),
        pytest.param({"size": 10**10}, 1, id="size-of-eleven-digits"),
        pytest.param({"digest": hashlib.sha256().digest()[1:]}, 1, id="digest-of-31-bytes"),
        pytest.param({"generation": -1}, 1, id="negative-generation"),
        pytest.param({"generation": 10**20}, 1, id="generation-of-21-digits"),
        pytest.param({}, 10**10, id="more-chunks-than-can-be-counted"),
    ],
)
def test_what_no_receiver_could_read_is_not_sent(claim: dict[str, Any], size: int) -> None:
    """A sender learns at once of what every receiver would refuse as malformed."""
    with pytest.raises((ValueError, FileSyncError)):
        next(split(hostname="ns1", name="a", size=size, claims=Claims(**claim), chunk_bytes=1))


def test_as_many_chunks_as_can_be_counted_are_good() -> None:
    """The largest number that a header may carry, and not one more."""
    most = 9_999_999_999
    first = next(split(hostname="ns1", name="a", size=most, claims=Claims(), chunk_bytes=1))
    assert ("total-chunks", b"9999999999") in first.headers
    with pytest.raises(
        ValueError, match=r"^10000000000 chunks; at most 9999999999 can be counted$"
    ):
        next(split(hostname="ns1", name="a", size=most + 1, claims=Claims(), chunk_bytes=1))
