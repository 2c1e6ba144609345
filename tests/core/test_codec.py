"""Headers and value become a chunk, or one line that says what is wrong with them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync._codec import decode, encode_headers
from filesync._model import Chunk, Claims, Headers, Origin, Record, TopicPartition
from filesync.exceptions import MalformedRecordError
from strategies import HEADER_NAMES, claims, file_names, records

P0 = TopicPartition("files", 0)

HOST = ("hostname", b"ns1")
NAME = ("files-name", b"a.rpz")
ALIAS = ("file-name", b"a.rpz")
#: What a record needs, and no more.
BARE = (HOST, NAME)
#: One sound value for each header.
SOUND = {
    "hostname": b"ns1",
    "files-name": b"a.rpz",
    "file-name": b"a.rpz",
    "total-chunks": b"3",
    "chunk-index": b"1",
    "transfer-id": b"t1",
    "file-size": b"9",
    "file-sha256": b"aB" * 32,
    "generation": b"7",
}


def record(headers: Headers, value: bytes | None = b"x", key: bytes | None = b"a.rpz") -> Record:
    """Return a record at offset 7 of partition 0."""
    return Record(P0, 7, 1.5, key, value, headers)


def read(headers: Headers, value: bytes | None = b"x", key: bytes | None = b"a.rpz") -> Chunk:
    """Decode such a record as a host does that is routed to by hostname."""
    return decode(record(headers, value, key), routed_by_hostname=True)


def reason(headers: Headers, value: bytes | None = b"x") -> str:
    """Return why such a record is refused."""
    with pytest.raises(MalformedRecordError) as caught:
        read(headers, value)
    return str(caught.value)


def chunk_headers(count: bytes, index: bytes) -> Headers:
    """Return the headers of chunk *index* of *count*."""
    return (*BARE, ("total-chunks", count), ("chunk-index", index))


def test_every_header_reaches_the_chunk() -> None:
    """A full record of profile L1 becomes a chunk that says all that it said."""
    assert read(list(SOUND.items())) == Chunk(
        name="a.rpz",
        index=0,
        count=3,
        data=b"x",
        origin=Origin(source=P0, offset=7, timestamp=1.5, generation=7),
        claims=Claims(transfer_id="t1", size=9, digest=b"\xab" * 32, generation=7),
    )


def test_a_record_without_optional_headers_is_a_whole_file() -> None:
    """Profile L0 without chunk headers: one chunk, and no claims."""
    assert read(BARE) == Chunk(
        name="a.rpz",
        index=0,
        count=1,
        data=b"x",
        origin=Origin(source=P0, offset=7, timestamp=1.5),
        claims=Claims(),
    )


@pytest.mark.parametrize(
    ("headers", "name", "index", "count"),
    [
        pytest.param(chunk_headers(b"1", b"1"), "a.rpz", 0, 1, id="one-of-one"),
        pytest.param(chunk_headers(b"3", b"3"), "a.rpz", 2, 3, id="the-last-chunk"),
        pytest.param(chunk_headers(b"003", b"0002"), "a.rpz", 1, 3, id="leading-zeros"),
        pytest.param(
            chunk_headers(b"2147483647", b"2147483647"),
            "a.rpz",
            2147483646,
            2147483647,
            id="total-2147483647",
        ),
        pytest.param(
            chunk_headers(b"9999999999", b"1"), "a.rpz", 0, 9999999999, id="the-largest-number"
        ),
        pytest.param((HOST, ALIAS), "a.rpz", 0, 1, id="only-the-alias"),
        pytest.param((ALIAS, HOST, NAME), "a.rpz", 0, 1, id="both-names-equal"),
        pytest.param((("hostname", b""), NAME), "a.rpz", 0, 1, id="an-empty-hostname"),
        pytest.param((HOST, ("files-name", b"")), "", 0, 1, id="an-empty-name"),
        pytest.param((HOST, ("files-name", "é".encode())), "é", 0, 1, id="a-name-in-UTF-8"),
        pytest.param((HOST, ("files-name", b"../x")), "../x", 0, 1, id="a-name-is-not-judged"),
        pytest.param(
            (*BARE, ("Chunk-Index", b"9"), ("x", None), ("x", b"\xff"), ("", b"")),
            "a.rpz",
            0,
            1,
            id="unknown-headers-do-not-count",
        ),
    ],
)
def test_a_well_formed_record_is_read(headers: Headers, name: str, index: int, count: int) -> None:
    """On the wire chunks count from 1; both name headers are good; others are passed over."""
    chunk = read(headers)
    assert (chunk.name, chunk.index, chunk.count) == (name, index, count)


@pytest.mark.parametrize("key", [None, b"", b"something else", b"\xff"])
def test_the_key_says_nothing(key: bytes | None) -> None:
    """A null key is fine, and so is any other: the name comes from the header."""
    assert read(BARE, key=key).name == "a.rpz"


def test_an_empty_value_is_an_empty_file() -> None:
    """Nothing in the value is a file with nothing in it."""
    assert read(BARE, b"").data == b""


def test_a_null_value_is_no_file() -> None:
    """A tombstone is refused: files cannot be deleted."""
    assert reason(BARE, None) == "'a.rpz' has no value; files cannot be deleted by a record"


@pytest.mark.parametrize("name", HEADER_NAMES)
def test_a_null_header_is_refused(name: str) -> None:
    """A header that we know has a value, or is not there."""
    headers: dict[str, bytes | None] = {**SOUND, name: None}
    assert reason(list(headers.items())) == f"the header {name} is null"


@pytest.mark.parametrize("name", HEADER_NAMES)
def test_a_repeated_header_is_refused(name: str) -> None:
    """A header that we know is there once, even if it says the same twice."""
    assert reason([*SOUND.items(), (name, SOUND[name])]) == f"the header {name} is there twice"


@pytest.mark.parametrize("name", ["hostname", "files-name", "file-name", "transfer-id"])
def test_a_header_that_is_not_utf8_is_refused(name: str) -> None:
    """Text is UTF-8, and bytes that are not are shown."""
    headers = {"hostname": b"ns1", "files-name": b"a.rpz", name: b"\xc3("}
    if name == "file-name":
        del headers["files-name"]
    assert reason(list(headers.items())) == f"{name} is b'\\xc3(', not UTF-8 text"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param((NAME,), "there is no hostname header", id="no-hostname"),
        pytest.param(
            (("Hostname", b"ns1"), NAME), "there is no hostname header", id="hostname-in-capitals"
        ),
        pytest.param((HOST,), "there is no files-name header", id="no-name"),
        pytest.param(
            (HOST, NAME, ("file-name", b"b.rpz")),
            "files-name is b'a.rpz' and file-name is b'b.rpz'",
            id="two-names",
        ),
        pytest.param(
            (HOST, NAME, ("file-name", b"A.RPZ")),
            "files-name is b'a.rpz' and file-name is b'A.RPZ'",
            id="two-names-that-differ-in-case",
        ),
        pytest.param(
            (*BARE, ("total-chunks", b"2")),
            "there is a total-chunks header and no chunk-index header",
            id="total-without-index",
        ),
        pytest.param(
            (*BARE, ("chunk-index", b"1")),
            "there is a chunk-index header and no total-chunks header",
            id="index-without-total",
        ),
        pytest.param(chunk_headers(b"3", b"4"), "chunk 4 of 3", id="index-beyond-total"),
        pytest.param(chunk_headers(b"0", b"1"), "chunk 1 of 0", id="total-0"),
        pytest.param(
            chunk_headers(b"3", b"0"), "chunk-index is 0; the first chunk is 1", id="index-0"
        ),
        pytest.param(
            chunk_headers(b"0", b"0"), "chunk-index is 0; the first chunk is 1", id="index-0-of-0"
        ),
    ],
)
def test_what_contradicts_itself_is_refused(headers: Headers, expected: str) -> None:
    """Headers that are missing, or that do not go together, are named."""
    assert reason(headers) == expected


@pytest.mark.parametrize("name", ["total-chunks", "chunk-index", "file-size"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(b"-1", "b'-1'", id="minus-one"),
        pytest.param(b"+1", "b'+1'", id="plus-one"),
        pytest.param(b" 2", "b' 2'", id="space-before"),
        pytest.param(b"2 ", "b'2 '", id="space-behind"),
        pytest.param(b"2\n", "b'2\\n'", id="newline-behind"),
        pytest.param(b"1_0", "b'1_0'", id="underscore"),
        pytest.param(b"4/3", "b'4/3'", id="fraction"),
        pytest.param(b"1.0", "b'1.0'", id="point"),
        pytest.param(b"1e3", "b'1e3'", id="exponent"),
        pytest.param(b"0x1", "b'0x1'", id="hexadecimal"),
        pytest.param(b"", "b''", id="empty"),
        pytest.param(b"two", "b'two'", id="a-word"),
        pytest.param(b"\x00\x00\x00\x02", "b'\\x00\\x00\\x00\\x02'", id="binary"),
        pytest.param("\u0663".encode(), "b'\\xd9\\xa3'", id="arabic-digit"),
        pytest.param("\uff13".encode(), "b'\\xef\\xbc\\x93'", id="fullwidth-digit"),
        pytest.param("\u00b3".encode(), "b'\\xc2\\xb3'", id="superscript-digit"),
        pytest.param(b"10000000000", "b'10000000000'", id="eleven-digits"),
        pytest.param(b"9" * 80, f"{b'9' * 80!r}", id="80-digits"),
        pytest.param(b"9" * 81, f"{b'9' * 80!r}… (81 bytes)", id="81-digits"),
        pytest.param(b"9" * 5000, f"{b'9' * 80!r}… (5000 bytes)", id="5000-digits"),
    ],
)
def test_a_number_is_decimal_text(name: str, value: bytes, shown: str) -> None:
    """Digits 0 to 9, at most ten of them, and nothing else."""
    headers = list({**SOUND, name: value}.items())
    assert reason(headers) == f"{name} is {shown}, not a decimal number"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        pytest.param("transfer-id", b"", "transfer-id has 0 bytes, not 1 to 256", id="empty-id"),
        pytest.param(
            "transfer-id", b"t" * 257, "transfer-id has 257 bytes, not 1 to 256", id="long-id"
        ),
        pytest.param(
            "file-sha256",
            b"ab" * 31 + b"a",
            f"file-sha256 is {b'ab' * 31 + b'a'!r}, not 64 hexadecimal digits",
            id="digest-of-63-digits",
        ),
        pytest.param(
            "file-sha256",
            b"ab" * 32 + b"a",
            f"file-sha256 is {b'ab' * 32 + b'a'!r}, not 64 hexadecimal digits",
            id="digest-of-65-digits",
        ),
        pytest.param(
            "file-sha256",
            b"ag" * 32,
            f"file-sha256 is {b'ag' * 32!r}, not 64 hexadecimal digits",
            id="digest-with-a-g",
        ),
        pytest.param(
            "file-sha256",
            b"\xab" * 32,
            f"file-sha256 is {bytes([0xAB]) * 32!r}, not 64 hexadecimal digits",
            id="raw-digest",
        ),
        pytest.param(
            "generation", b"", "generation is b'', not 1 to 20 digits", id="empty-generation"
        ),
        pytest.param(
            "generation", b"-1", "generation is b'-1', not 1 to 20 digits", id="generation-minus-1"
        ),
        pytest.param(
            "generation",
            b"1" * 21,
            "generation is b'111111111111111111111', not 1 to 20 digits",
            id="generation-of-21-digits",
        ),
        pytest.param(
            "generation",
            "\u0663".encode(),
            "generation is b'\\xd9\\xa3', not 1 to 20 digits",
            id="generation-in-arabic",
        ),
    ],
)
def test_a_malformed_claim_is_refused(name: str, value: bytes, expected: str) -> None:
    """What a sender says of the whole file is checked, not guessed at."""
    assert reason([*BARE, (name, value)]) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("transfer-id", b"t" * 256, Claims(transfer_id="t" * 256)),
        ("transfer-id", "é".encode(), Claims(transfer_id="é")),
        ("file-size", b"0", Claims(size=0)),
        ("file-size", b"9999999999", Claims(size=9_999_999_999)),
        ("file-sha256", b"0" * 64, Claims(digest=bytes(32))),
        ("generation", b"0", Claims(generation=0)),
        ("generation", b"9" * 20, Claims(generation=10**20 - 1)),
    ],
)
def test_the_extremes_of_a_claim_are_good(name: str, value: bytes, expected: Claims) -> None:
    """The smallest and the largest value of each claim is read."""
    chunk = read([*BARE, (name, value)])
    assert chunk.claims == expected
    assert chunk.origin.generation == expected.generation


def test_without_routing_by_hostname_none_is_needed() -> None:
    """A host that is found by the key reads records without that header, but no bad one."""
    assert decode(record([NAME]), routed_by_hostname=False).name == "a.rpz"
    with pytest.raises(MalformedRecordError, match=r"^hostname is b'\\xff', not UTF-8 text$"):
        decode(record([("hostname", b"\xff"), NAME]), routed_by_hostname=False)


@pytest.mark.parametrize("name", HEADER_NAMES)
@pytest.mark.parametrize("value", [b"\xff" * 100_000, b"\n" * 100_000], ids=["bytes", "newlines"])
def test_a_reason_is_one_short_line(name: str, value: bytes) -> None:
    """However long a header is, what is told of it fits a log, and stays on its line."""
    headers = {**SOUND, name: value}
    if name == "file-name":
        del headers["files-name"]
    try:
        read(list(headers.items()))
    except MalformedRecordError as exc:
        told = str(exc)
        assert len(told) < 600
        assert told.isprintable()
    else:
        assert name in {"hostname", "file-name"}, "only as text is it good"


@pytest.mark.parametrize(("length", "shown"), [(80, f"'{'n' * 80}'"), (81, f"'{'n' * 80}'…")])
def test_the_name_of_a_null_value_is_shown_up_to_a_length(length: int, shown: str) -> None:
    """Eighty characters are enough to know which file it is."""
    told = reason((HOST, ("files-name", b"n" * length)), None)
    assert told.partition(" has no value")[0] == shown


def test_the_reason_of_a_null_value_is_short_too() -> None:
    """A tombstone with an endless name fills no log."""
    told = reason((HOST, ("files-name", b"n" * 100_000)), None)
    assert len(told) < 600
    assert told.endswith("has no value; files cannot be deleted by a record")


@given(record=records(), routed_by_hostname=st.booleans())
def test_decoding_raises_nothing_else(record: Record, *, routed_by_hostname: bool) -> None:
    """Whatever anybody wrote is a chunk with a place in its file, or malformed."""
    try:
        chunk = decode(record, routed_by_hostname=routed_by_hostname)
    except MalformedRecordError as exc:
        told = str(exc)
        assert told.isprintable()
    else:
        assert 0 <= chunk.index < chunk.count
        assert chunk.data == record.value
        assert chunk.origin == Origin(
            source=record.source,
            offset=record.offset,
            timestamp=record.timestamp,
            generation=chunk.claims.generation,
        )


def test_both_name_headers_are_written() -> None:
    """Old receivers read one of them, newer ones the other; the order is fixed."""
    everything = Claims(transfer_id="t1", size=9, digest=b"\xab" * 32, generation=7)
    assert encode_headers(hostname="ns1", name="a.rpz", index=1, count=3, claims=everything) == [
        ("hostname", b"ns1"),
        ("files-name", b"a.rpz"),
        ("file-name", b"a.rpz"),
        ("total-chunks", b"3"),
        ("chunk-index", b"2"),
        ("transfer-id", b"t1"),
        ("file-size", b"9"),
        ("file-sha256", b"ab" * 32),
        ("generation", b"7"),
    ]


def test_a_file_in_one_chunk_has_no_chunk_headers() -> None:
    """So that a receiver without chunks understands it; nothing unsaid is written."""
    assert encode_headers(hostname="ns1", name="a.rpz", index=0, count=1, claims=Claims()) == [
        ("hostname", b"ns1"),
        ("files-name", b"a.rpz"),
        ("file-name", b"a.rpz"),
    ]


def test_a_file_in_two_chunks_has_chunk_headers() -> None:
    """From two on they are needed, and they count from 1."""
    headers = encode_headers(hostname="ns1", name="a.rpz", index=0, count=2, claims=Claims())
    assert headers[3:] == [("total-chunks", b"2"), ("chunk-index", b"1")]


@given(
    hostname=st.text(st.characters(codec="utf-8")),
    name=file_names(),
    place=st.integers(1, 9_999_999_999).flatmap(
        lambda count: st.tuples(st.integers(0, count - 1), st.just(count))
    ),
    claims=claims(),
    data=st.binary(max_size=8),
)
def test_what_is_written_is_read(
    hostname: str, name: str, place: tuple[int, int], claims: Claims, data: bytes
) -> None:
    """Headers that were encoded decode to the same chunk."""
    index, count = place
    headers = encode_headers(hostname=hostname, name=name, index=index, count=count, claims=claims)
    assert read(headers, data) == Chunk(
        name=name,
        index=index,
        count=count,
        data=data,
        origin=Origin(source=P0, offset=7, timestamp=1.5, generation=claims.generation),
        claims=claims,
    )
