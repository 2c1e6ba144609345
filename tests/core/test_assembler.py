"""Chunks become whole transfers, in any order, from any sender; S1 and S12 of the design."""

from __future__ import annotations

import random
from itertools import permutations
from typing import Any

import pytest
from attrs import evolve

from filesync import Limits
from filesync._assembler import Dropped
from filesync._effects import AppendChunk, DropTransfer
from filesync._ended import PAGE
from filesync._model import Chunk, Claims, TransferKey
from filesync._outcomes import Ending
from filesync._plan import Segment
from filesync._transfer import Whole
from filesync.exceptions import MalformedRecordError
from support.desk import D1, D2, T1, T2, Desk, late, sent
from support.pieces import P0, P1, chunk, origin, target

PIECES = (b"one", b"", b"three", b"4", b"five")


# Orders


@pytest.mark.parametrize("claims", [None, T1], ids=["unnamed", "named"])
@pytest.mark.parametrize(
    ("order", "segments"),
    [
        pytest.param([0, 1, 2, 3, 4], [0], id="in-order"),
        pytest.param([4, 3, 2, 1, 0], [0, 1, 2, 3, 4], id="reversed"),
        pytest.param([3, 4, 0, 1, 2], [0, 3], id="rotated"),
        pytest.param([0, 2, 4, 1, 3], [0, 2, 4], id="even-then-odd"),
        pytest.param([1, 0, 2, 4, 3], [0, 1, 4], id="swapped"),
    ],
)
def test_chunks_in_any_order_become_the_file(
    order: list[int], segments: list[int], claims: Claims | None
) -> None:
    """Chunks that follow each other share a segment; together they are exactly the file."""
    desk = Desk()
    steps = desk.send(*sent(PIECES, order, claims=claims))
    assert desk.files == [b"".join(PIECES)]
    done = steps[-1]
    assert isinstance(done, Whole)
    # A chunk continues a segment only when it comes after that segment's last one.
    assert [segment.first for segment in done.segments] == segments
    assert (desk.assembler.open_transfers, desk.assembler.spooled_bytes) == (0, 0)


def test_in_order_a_chunk_only_continues_the_one_segment() -> None:
    """Every byte is written once, at the end of what is there; nothing else happens."""
    desk = Desk()
    steps = [desk.add(piece) for piece in sent([b"ab", b"c", b"def"])]
    key = TransferKey(0, 0)
    assert steps[0] == [AppendChunk(key, "a.rpz", 0, 0, b"ab")]
    assert steps[1] == [AppendChunk(key, "a.rpz", 0, 2, b"c")]
    assert steps[2][0] == AppendChunk(key, "a.rpz", 0, 3, b"def")


def test_what_is_whole_says_where_it_is_and_where_it_came_from() -> None:
    """Its place on disk, its age (the first record that was read), and what it pins."""
    claims = Claims(transfer_id="t1", size=8, digest=b"\1" * 32, generation=7)
    desk = Desk()
    steps = desk.send(*sent([b"one", b"three"], [1, 0], first=40, claims=claims))
    assert steps[-1] == Whole(
        key=TransferKey(0, 40),
        target=target("a.rpz"),
        segments=(Segment(0, 3), Segment(1, 5)),
        claims=claims,
        origin=origin(40, generation=7),
        sources=(P0,),
    )


@pytest.mark.parametrize("claims", [Claims(), T1, Claims(size=0, generation=3)])
@pytest.mark.parametrize("data", [b"", b"x"])
def test_one_record_is_a_file(data: bytes, claims: Claims) -> None:
    """Whole at once, the empty file too."""
    desk = Desk()
    desk.add(chunk(0, 0, 1, data, claims=claims))
    assert desk.files == [data]


def test_a_file_in_one_record_may_come_again() -> None:
    """Without an id each record is a transfer of its own; equal bytes are judged later."""
    desk = Desk()
    desk.send(*(chunk(offset, 0, 1, b"same") for offset in range(3)))
    assert desk.files == [b"same"] * 3


@pytest.mark.parametrize("count", [PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
def test_many_chunks_shuffled_become_the_file(count: int) -> None:
    """Whatever the number of pages that fingerprints take."""
    pieces = [b"%d," % index for index in range(count)]
    order = list(range(count))
    random.Random(count).shuffle(order)
    desk = Desk()
    desk.send(*sent(pieces, order))
    assert desk.files == [b"".join(pieces)]


def test_files_and_kinds_do_not_mix() -> None:
    """Chunks of two files and of two named transfers, one by one."""
    desk = Desk()
    streams = [
        sent([b"a1", b"a2"], first=0),
        sent([b"b1", b"b2"], first=10, name="b.rpz"),
        sent([b"c1", b"c2"], first=20, claims=T1),
        sent([b"d1", b"d2"], first=30, claims=T2),
        sent([b"e1", b"e2"], first=40, claims=T1, name="b.rpz"),
        sent([b"f1", b"f2", b"f3"], first=50),
    ]
    for place in range(3):
        desk.send(*(stream[place] for stream in streams if place < len(stream)))
    assert desk.files == [b"a1a2", b"b1b2", b"c1c2", b"d1d2", b"e1e2", b"f1f2f3"]


# S1: the sender starts again


def test_a_sender_that_starts_again_with_new_content() -> None:
    """S1: the old run is superseded when the new one shows; none of its chunks is used."""
    desk = Desk()
    desk.send(*sent([b"A1", b"A2", b"A3"], [0, 1], first=10))
    steps = desk.add(chunk(12, 0, 3, b"B1"))
    assert [type(step) for step in steps] == [DropTransfer, Dropped, AppendChunk]
    assert (desk.endings, desk.assembler.open_transfers) == ([Ending.SUPERSEDED], 1)
    desk.send(chunk(13, 1, 3, b"B2"), chunk(14, 2, 3, b"B3"))
    assert desk.files == [b"B1B2B3"]


def test_a_sender_that_starts_again_with_an_equal_first_chunk() -> None:
    """The trap in S1: B1 has A1's bytes, and is data of the new run all the same."""
    desk = Desk()
    desk.send(*sent([b"11", b"A2", b"A3"], [0, 1], first=10))
    desk.send(*sent([b"11", b"B2", b"B3"], first=12))
    assert desk.endings == [Ending.SUPERSEDED]
    assert desk.files == [b"11B2B3"]


def test_a_chunk_with_other_bytes_opens_a_run() -> None:
    """B1 was lost, so B can never be whole; but nothing of A is used for it."""
    desk = Desk()
    desk.send(*sent([b"A1", b"A2", b"A3"], [0, 1]))
    desk.send(*sent([b"B1", b"B2", b"B3"], [1, 2], first=2))
    assert (desk.endings, desk.files) == ([Ending.SUPERSEDED], [])
    assert desk.assembler.open_transfers == 1


def test_a_chunk_with_other_claims_opens_a_run() -> None:
    """Without an id, what is said about the whole tells two versions apart."""
    desk = Desk()
    desk.add(chunk(0, 0, 2, b"A1", claims=Claims(size=4)))
    desk.add(chunk(1, 1, 2, b"B2", claims=Claims(size=5)))
    desk.add(chunk(2, 0, 2, b"B1x", claims=Claims(size=5)))
    assert (desk.endings, desk.files) == ([Ending.SUPERSEDED], [b"B1xB2"])


@pytest.mark.parametrize("claims", [None, T1], ids=["unnamed", "named"])
def test_a_chunk_that_comes_twice_counts_once(claims: Claims | None) -> None:
    """A repeated record changes nothing."""
    desk = Desk()
    first, second, third = sent([b"1", b"2", b"3"], claims=claims)
    assert desk.send(first, second, second) == []
    desk.add(third)
    assert desk.files == [b"123"]


def test_another_number_of_chunks_is_another_version() -> None:
    """A shorter version beside a longer one that was abandoned."""
    desk = Desk()
    desk.send(*sent([b"A1", b"A2", b"A3"], [0, 1]))
    desk.send(*sent([b"B1", b"B2"], first=2))
    assert desk.files == [b"B1B2"]
    desk.follow(desk.assembler.supersede("a.rpz", origin(2)))
    assert desk.endings == [Ending.SUPERSEDED]


# S12: two partitions


def test_a_named_transfer_may_use_several_partitions() -> None:
    """S12: each is pinned from the first chunk there; the first of all gives the age."""
    desk = Desk()
    pieces = [b"1", b"2", b"3", b"4"]
    desk.send(*sent(pieces, [0, 1], first=70, claims=T1, source=P1))
    done = desk.send(*sent(pieces, [3, 2], first=20, claims=T1))[-1]
    assert isinstance(done, Whole)
    assert (done.sources, done.origin) == ((P1, P0), origin(70, P1))
    assert desk.files == [b"1234"]


def test_without_id_partitions_are_never_joined() -> None:
    """S12: order means nothing across partitions; neither half is ever whole."""
    desk = Desk(Limits(expire_total=5.0))
    pieces = [b"1", b"2", b"3"]
    desk.send(*sent(pieces, [0, 1], first=70, source=P1))
    desk.send(*sent(pieces, [2], first=20))
    assert (desk.files, desk.assembler.open_transfers) == ([], 2)
    desk.follow(desk.assembler.expire(5.5, caught_up=False))
    assert desk.endings == [Ending.EXPIRED, Ending.HEAD_MISSING]


def test_one_of_two_partitions_starts_anew() -> None:
    """The transfer used it, so it ends, and releases the other one too."""
    desk = Desk()
    pieces = [b"1", b"2", b"3"]
    desk.send(*sent(pieces, [0], claims=T1), *sent(pieces, [1], claims=T1, source=P1))
    steps = desk.follow(desk.assembler.forget(P1, "the topic was created again"))
    assert desk.endings == [Ending.HEAD_MISSING]
    assert desk.details == ["the topic was created again"]
    assert isinstance(steps[-1], Dropped)
    assert steps[-1].sources == (P0, P1)


# Contradictions of named transfers


@pytest.mark.parametrize(
    ("contradiction", "words"),
    [
        (chunk(1, 1, 3, b"2", claims=Claims(transfer_id="t1", size=2)), "has 2 chunks"),
        (chunk(1, 1, 2, b"2", claims=Claims(transfer_id="t1", size=3)), "says other things"),
        (chunk(1, 0, 2, b"1", claims=T1), "says other things"),
    ],
)
def test_a_chunk_that_contradicts_its_transfer_is_malformed(
    contradiction: Chunk, words: str
) -> None:
    """It is refused, and the transfer goes on as if it had not come."""
    desk = Desk()
    claims = Claims(transfer_id="t1", size=2)
    desk.add(chunk(0, 0, 2, b"1", claims=claims))
    with pytest.raises(MalformedRecordError, match=words):
        desk.add(contradiction)
    desk.add(chunk(2, 1, 2, b"2", claims=claims))
    assert desk.files == [b"12"]


def test_of_a_named_transfer_the_first_bytes_of_a_chunk_count() -> None:
    """The digest of the whole decides about the rest; nothing opens a new run."""
    desk = Desk()
    desk.send(*sent([b"1", b"2"], [0], claims=T1))
    assert desk.add(chunk(1, 0, 2, b"?", claims=T1)) == []
    desk.add(chunk(2, 1, 2, b"2", claims=T1))
    assert (desk.files, desk.endings) == ([b"12"], [])


# A digest that comes with one chunk


@pytest.mark.parametrize("place", [0, 1, 2], ids=["with-first", "with-middle", "with-last"])
@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_the_digest_may_come_with_one_chunk(order: tuple[int, ...], place: int) -> None:
    """Who reads a file while he sends it knows it at the end; chunks arrive in any order."""
    claims = Claims(transfer_id="t1", size=8, generation=7)
    pieces = sent([b"one", b"four", b"5"], order, claims=claims)
    pieces = [
        evolve(piece, claims=evolve(claims, digest=D1)) if piece.index == place else piece
        for piece in pieces
    ]
    desk = Desk()
    done = desk.send(*pieces)[-1]
    assert isinstance(done, Whole)
    assert done.claims == Claims(transfer_id="t1", size=8, generation=7, digest=D1)
    assert (desk.files, desk.endings) == ([b"onefour5"], [])
    assert late(desk.add(evolve(pieces[0], origin=origin(9)))) is Ending.LATE_DUPLICATE


def test_a_digest_that_is_known_is_not_lost_by_a_duplicate_without() -> None:
    """What one chunk said stays said."""
    desk = Desk()
    desk.add(chunk(0, 1, 2, b"2", claims=evolve(T1, digest=D1)))
    assert desk.add(chunk(1, 1, 2, b"2", claims=T1)) == []
    done = desk.add(chunk(2, 0, 2, b"1", claims=T1))[-1]
    assert isinstance(done, Whole)
    assert done.claims.digest == D1


@pytest.mark.parametrize(
    "contradiction",
    [
        pytest.param({"digest": D2}, id="digest"),
        pytest.param({"size": 4}, id="size"),
        pytest.param({"size": None}, id="no-size"),
        pytest.param({"generation": 8}, id="generation"),
        pytest.param({"generation": None}, id="no-generation"),
        pytest.param({"size": 4, "digest": D1}, id="size-and-digest"),
    ],
)
@pytest.mark.parametrize("index", [1, 2], ids=["seen", "new"])
def test_only_the_digest_may_come_later(contradiction: dict[str, Any], index: int) -> None:
    """Another digest, size or generation is malformed, a repeated chunk's too; nothing changes."""
    claims = Claims(transfer_id="t1", size=3, generation=7)
    desk = Desk()
    desk.add(chunk(0, 0, 3, b"1", claims=claims))
    desk.add(chunk(1, 1, 3, b"2", claims=evolve(claims, digest=D1)))
    with pytest.raises(MalformedRecordError, match="says other things"):
        desk.add(chunk(2, index, 3, b"?", claims=evolve(claims, **contradiction)))
    assert (desk.assembler.open_transfers, desk.assembler.spooled_bytes) == (1, 2)
    done = desk.add(chunk(3, 2, 3, b"3", claims=claims))[-1]
    assert isinstance(done, Whole)
    assert done.claims == evolve(claims, digest=D1)
    assert (desk.files, desk.endings) == ([b"123"], [])


@pytest.mark.parametrize(
    ("count", "claims"),
    [
        pytest.param(3, T1, id="count"),
        pytest.param(2, evolve(T1, size=2), id="size"),
        pytest.param(2, evolve(T1, generation=7), id="generation"),
    ],
)
def test_of_a_chunk_that_is_malformed_the_digest_is_not_taken(count: int, claims: Claims) -> None:
    """It contradicts the transfer, so none of what it says counts."""
    desk = Desk()
    desk.add(chunk(0, 0, 2, b"1", claims=T1))
    with pytest.raises(MalformedRecordError):
        desk.add(chunk(1, 1, count, b"?", claims=evolve(claims, digest=D2)))
    done = desk.add(chunk(2, 1, 2, b"2", claims=evolve(T1, digest=D1)))[-1]
    assert isinstance(done, Whole)
    assert done.claims == evolve(T1, digest=D1)


@pytest.mark.parametrize(
    ("first", "second"), [(None, D1), (D1, None), (D1, D2)], ids=["then-one", "no-more", "other"]
)
def test_without_an_id_another_digest_begins_a_new_run(
    first: bytes | None, second: bytes | None
) -> None:
    """Nothing says that it is the same transfer: the older one is superseded."""
    desk = Desk()
    desk.add(chunk(0, 0, 2, b"A1", claims=Claims(digest=first)))
    desk.add(chunk(1, 1, 2, b"B2", claims=Claims(digest=second)))
    assert (desk.endings, desk.assembler.open_transfers) == ([Ending.SUPERSEDED], 1)
    done = desk.add(chunk(2, 0, 2, b"B1", claims=Claims(digest=second)))[-1]
    assert isinstance(done, Whole)
    assert (desk.files, done.claims) == ([b"B1B2"], Claims(digest=second))
