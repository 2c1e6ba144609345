"""Chunks become whole transfers: any order, any sender, within bounds; S1-S15 of the design."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from itertools import permutations
from typing import Any

import pytest
from attrs import define, evolve, field
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from filesync import Limits
from filesync._assembler import Assembler, Dropped, Step
from filesync._effects import AppendChunk, DropTransfer
from filesync._ended import PAGE, Ended, Pages, fingerprint
from filesync._model import Chunk, Claims, Origin, TopicPartition, TransferKey
from filesync._outcomes import Ending, RecordRefused
from filesync._plan import Segment
from filesync._transfer import Whole
from filesync.exceptions import MalformedRecordError
from strategies import claims as any_claims
from support.pieces import P0, P1, SpoolDisk, chunk, examples, origin, target

PIECES = (b"one", b"", b"three", b"4", b"five")
T1, T2 = Claims(transfer_id="t1"), Claims(transfer_id="t2")
#: Two digests; nobody here computes one.
D1, D2 = b"\1" * 32, b"\2" * 32


@define
class Desk:
    """An assembler, the disk that it fills, and what has become of its transfers."""

    limits: Limits = field(factory=Limits)
    assembler: Assembler = field(init=False)
    disk: SpoolDisk = field(factory=SpoolDisk)
    #: The bytes of every whole transfer, and the outcome of every other one, in order.
    files: list[bytes] = field(factory=list)
    endings: list[Ending] = field(factory=list)
    details: list[str] = field(factory=list)
    #: Transfers that have bytes on the disk and no outcome.
    keys: set[TransferKey] = field(factory=set)
    ended: set[TransferKey] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.assembler = Assembler(self.limits)

    def add(self, piece: Chunk, at: float = 0.0) -> list[Step]:
        """Take a chunk, and carry out what follows."""
        return self.follow(self.assembler.add(piece, target(piece.name), at))

    def send(self, *pieces: Chunk) -> list[Step]:
        """Take several; return what followed from the last."""
        return [self.add(piece) for piece in pieces][-1]

    def follow(self, steps: list[Step]) -> list[Step]:
        """Carry out *steps*; every transfer is opened once and ends once."""
        self.disk.carry_out(steps)
        for step in steps:
            match step:
                case AppendChunk(transfer=key):
                    assert key not in self.ended, "a chunk of a transfer that ended"
                    self.keys.add(key)
                case Whole(key=key):
                    self._end(key)
                    self.files.append(self.disk.take(step))
                case Dropped(key=key, outcome=outcome):
                    self._end(key)
                    assert DropTransfer(key, outcome.name) in steps, "its bytes are left behind"
                    self.endings.append(outcome.ending)
                    self.details.append(outcome.detail)
                case RecordRefused():
                    self.details.append(step.detail)
        return steps

    def refuses(self, piece: Chunk, words: str) -> None:
        """Check that there is no room for a chunk, and that nothing changes by it."""
        before = self.assembler.open_transfers, self.assembler.spooled_bytes
        [step] = self.add(piece)
        assert isinstance(step, RecordRefused)
        assert step.ending is Ending.REFUSED_QUOTA
        assert words in step.detail
        assert (self.assembler.open_transfers, self.assembler.spooled_bytes) == before

    def _end(self, key: TransferKey) -> None:
        assert key not in self.ended, "two outcomes"
        self.ended.add(key)
        self.keys.discard(key)


def sent(
    pieces: Sequence[bytes],
    order: Iterable[int] | None = None,
    *,
    first: int = 0,
    claims: Claims | None = None,
    name: str = "a.rpz",
    source: TopicPartition = P0,
) -> list[Chunk]:
    """Return the chunks of a file in the order that they are read in, from offset *first* on."""
    return [
        chunk(
            first + place,
            index,
            len(pieces),
            pieces[index],
            claims=claims,
            name=name,
            source=source,
        )
        for place, index in enumerate(range(len(pieces)) if order is None else order)
    ]


def late(steps: list[Step]) -> Ending | None:
    """Return why a chunk came too late, None if it did not."""
    match steps:
        case [RecordRefused(ending=ending)]:
            return ending
        case _:
            return None


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


# S9: the head is gone


@pytest.mark.parametrize(
    "why", ["gap", "too large", "no room", "expired", "superseded", "expired twice"]
)
def test_a_lost_head_is_never_replaced_by_the_next_version_s(why: str) -> None:
    """Of A the rest is read, then B comes with as many chunks: never {B1, A2, A3}."""
    desk = Desk(Limits(chunk_bytes=9, remembered=1, open_transfers=2, expire_total=5.0))
    old = sent([b"A1", b"A2", b"A3"], first=10)
    others = [chunk(place, 0, 2, b"1", name=f"{place}.rpz") for place in range(3)]
    match why:
        case "gap":
            desk.assembler.begin(P0, boundary=False)
        case "too large":
            desk.refuses(chunk(10, 0, 3, b"A1 is too large"), "chunk-bytes")
        case "no room":
            desk.send(*others[:2])
            desk.refuses(old[0], "open-transfers")
            desk.refuses(others[2], "open-transfers")
            desk.send(chunk(5, 1, 2, b"2", name="1.rpz"))
        case "expired":
            desk.send(old[0], others[0])
            desk.follow(desk.assembler.expire(6.0, caught_up=True))
        case "superseded":
            desk.add(old[0])
            desk.follow(desk.assembler.supersede("a.rpz", origin(11)))
        case "expired twice":
            desk.add(chunk(0, 0, 3, b"Z1"))
            desk.follow(desk.assembler.expire(6.0, caught_up=True))
            desk.send(chunk(1, 1, 3, b"Z2"), old[0])
            desk.follow(desk.assembler.expire(6.0, caught_up=True))
    desk.send(*old[1:])
    desk.send(*sent([b"B1", b"B2", b"B3"], first=13))
    assert desk.files[-1:] == [b"B1B2B3"]


def test_what_is_read_from_the_middle_of_a_log_has_lost_its_head() -> None:
    """S9: A4 to A10 never complete, and are told as such when the next version begins."""
    desk = Desk()
    desk.assembler.begin(P0, boundary=False)
    old, new = [b"A%d" % number for number in range(10)], [b"B%d" % number for number in range(10)]
    desk.send(*sent(old, range(3, 10)))
    desk.add(chunk(7, 0, 10, new[0]))
    assert desk.endings == [Ending.HEAD_MISSING]
    assert "gone from the log" in desk.details[-1]
    desk.send(*sent(new, range(1, 10), first=8))
    assert desk.files == [b"".join(new)]


def test_once_a_head_was_seen_the_order_is_free_again() -> None:
    """From the middle of a log: the first version in order, the next one in any."""
    desk = Desk()
    desk.assembler.begin(P0, boundary=False)
    desk.send(*sent([b"1", b"2", b"3"]))
    desk.send(*sent([b"x", b"y", b"z"], [1, 2, 0], first=3))
    desk.send(*sent([b"a", b"b"], [1, 0], first=6, name="b.rpz"))
    assert desk.files == [b"123", b"xyz"], "of b.rpz no head was seen before"


def test_from_the_first_record_on_the_order_is_free() -> None:
    """Nothing can be gone: reading began where transfers begin."""
    desk = Desk()
    desk.assembler.begin(P0, boundary=False)
    desk.assembler.begin(P0, boundary=True)
    desk.send(*sent([b"x", b"y", b"z"], [1, 2, 0]))
    assert desk.files == [b"xyz"]


def test_the_head_of_a_named_transfer_is_known_by_its_id() -> None:
    """It may come last wherever reading began, and another partition is not concerned."""
    desk = Desk()
    desk.assembler.begin(P0, boundary=False)
    desk.send(*sent([b"x", b"y", b"z"], [1, 2, 0], claims=T1))
    desk.send(*sent([b"a", b"b"], [1, 0], source=P1))
    assert desk.files == [b"xyz", b"ab"]


def test_the_memory_of_heads_is_bounded() -> None:
    """When too many files were seen all are forgotten: their order is bound again, no more."""
    desk = Desk(Limits(remembered=2))
    desk.assembler.begin(P0, boundary=False)
    for offset, name in enumerate(["a.rpz", "b.rpz", "c.rpz"]):
        desk.add(chunk(offset, 0, 1, b"whole", name=name))
    assert desk.assembler._heads == {P0: {"c.rpz"}}
    desk.send(*sent([b"x", b"y"], [1, 0], first=5))
    assert desk.endings == [Ending.HEAD_MISSING]


# S3: late duplicates


def test_reordered_chunks_and_a_late_duplicate_without_id() -> None:
    """S3: the late chunk is known by its bytes, and opens no zombie."""
    desk = Desk()
    desk.send(*sent([b"1", b"2", b"3"], [1, 0, 2], first=1))
    assert late(desk.add(chunk(4, 1, 3, b"2"))) is Ending.LATE_DUPLICATE
    assert "chunk 2 of 3" in desk.details[-1]
    assert desk.assembler.open_transfers == 0


def test_a_late_first_chunk_without_id_may_be_a_new_version() -> None:
    """S3: it is kept, and is the head of what may follow; the price is a pinned position."""
    desk = Desk()
    desk.send(*sent([b"1", b"2", b"3"], [1, 0, 2], first=1))
    desk.add(chunk(4, 0, 3, b"1"))
    assert desk.assembler.open_transfers == 1
    desk.send(chunk(5, 1, 3, b"x"), chunk(6, 2, 3, b"y"))
    assert desk.files == [b"123", b"1xy"]


def test_a_late_first_chunk_that_nothing_follows_is_a_late_duplicate() -> None:
    """S3: when it expires nobody has to send anything again."""
    desk = Desk()
    desk.send(*sent([b"1", b"2", b"3"], [1, 0, 2], first=1))
    desk.add(chunk(4, 0, 3, b"1"))
    desk.follow(desk.assembler.expire(1e9, caught_up=True))
    assert (desk.endings, desk.details) == ([Ending.LATE_DUPLICATE], ["nothing followed it"])


@pytest.mark.parametrize("rest", [[(0, b"x")], [(0, b"1"), (1, b"y")]])
def test_a_version_that_began_is_not_taken_for_a_duplicate(rest: list[tuple[int, bytes]]) -> None:
    """Other bytes, or more than the first chunk: it has to be sent again."""
    desk = Desk()
    desk.send(*sent([b"1", b"2", b"3"]))
    desk.send(*(chunk(9 + index, index, 3, data) for index, data in rest))
    desk.follow(desk.assembler.expire(1e9, caught_up=True))
    assert desk.endings == [Ending.EXPIRED]


def test_a_version_that_follows_may_show_any_chunk_first() -> None:
    """Other bytes than before: no duplicate, though the order is lost."""
    desk = Desk()
    desk.send(*sent([b"1", b"2", b"3"]))
    desk.send(*sent([b"x", b"y", b"z"], [2, 1, 0], first=3))
    assert desk.files == [b"123", b"xyz"]


def test_a_named_transfer_is_known_by_its_id() -> None:
    """Whole: every chunk of it is late, the first too, whatever its bytes."""
    desk = Desk()
    desk.send(*sent([b"1", b"2"], claims=T1))
    assert late(desk.add(chunk(2, 0, 2, b"1", claims=T1))) is Ending.LATE_DUPLICATE
    assert late(desk.add(chunk(3, 1, 2, b"?", claims=T1))) is Ending.LATE_DUPLICATE
    desk.add(chunk(4, 0, 1, b"one", claims=T2))
    assert late(desk.add(chunk(5, 0, 1, b"one", claims=T2))) is Ending.LATE_DUPLICATE
    desk.add(chunk(6, 0, 1, b"one", claims=T1, name="b.rpz"))
    assert desk.files == [b"12", b"one", b"one"], "b.rpz is another file"


@pytest.mark.parametrize("newer", [[b"new"], [b"n", b"ew"], [b"new", b""]])
@pytest.mark.parametrize("claims", [None, T1], ids=["unnamed", "named"])
def test_an_older_version_may_be_sent_again_in_order(
    newer: list[bytes], claims: Claims | None
) -> None:
    """To go back to it: its first chunk opens a transfer. Backwards it is refused, not guessed."""
    desk = Desk()
    old = [b"1", b"2", b"3"]
    desk.send(*sent(old))
    desk.send(*sent(newer, first=3, claims=claims))
    desk.send(*sent(old, [2, 1, 0], first=9))
    assert desk.files == [b"123", b"new"]
    desk.send(*sent(old, first=12))
    assert desk.files == [b"123", b"new", b"123"]


def test_the_memory_of_what_ended_is_bounded() -> None:
    """The oldest is forgotten: its duplicate opens a transfer, which will expire."""
    desk = Desk(Limits(remembered=2))
    for number, claims in enumerate([T1, T2, Claims(transfer_id="t3")]):
        desk.send(*sent([b"1", b"2"], first=2 * number, claims=claims))
    assert late(desk.add(chunk(6, 1, 2, b"2", claims=T2))) is Ending.LATE_DUPLICATE
    assert late(desk.add(chunk(7, 1, 2, b"2", claims=T1))) is None
    assert desk.assembler.open_transfers == 1


def test_a_transfer_that_ended_twice_is_remembered_once() -> None:
    """The latest ending counts, and takes one place in the memory."""
    desk = Desk(Limits(remembered=2, expire_total=5.0))
    desk.send(*sent([b"1", b"2"], claims=T1))
    for offset in (2, 4, 6):
        desk.add(chunk(offset, 0, 3, b"x"))
        desk.follow(desk.assembler.expire(1e9, caught_up=False))
    assert late(desk.add(chunk(9, 1, 3, b"y"))) is Ending.EXPIRED
    assert late(desk.add(chunk(10, 0, 2, b"1", claims=T1))) is Ending.LATE_DUPLICATE


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


# Bounds of what is kept


def test_a_transfer_of_too_many_chunks_is_refused() -> None:
    """S14: two thousand million chunks cost as much as one, and are told once by name."""
    desk = Desk(Limits(chunks_per_file=3))
    desk.refuses(chunk(0, 0, 2_147_483_647, b"x"), "2147483647 chunks; limits.chunks-per-file")
    desk.refuses(chunk(1, 3, 4, b"x", claims=T1), "allows 3")
    assert late(desk.add(chunk(2, 2, 4, b"x", claims=T1))) is Ending.REFUSED_QUOTA
    assert late(desk.add(chunk(3, 5, 2_147_483_647, b"x"))) is Ending.REFUSED_QUOTA
    desk.send(*sent([b"1", b"2", b"3"], first=4))
    assert desk.files == [b"123"]


def test_a_file_that_is_announced_too_large_is_refused() -> None:
    """One that claims 900 GB never begins; one that fits exactly does."""
    desk = Desk(Limits(file_bytes=4))
    desk.refuses(chunk(0, 0, 2, b"x", claims=Claims(size=9 * 10**9)), "9000000000 bytes")
    desk.send(*sent([b"12", b"34"], claims=Claims(size=4), first=1))
    assert desk.files == [b"1234"]


def test_a_file_that_grows_too_large_is_dropped() -> None:
    """It announced nothing: its bytes go when the limit is passed, and no chunk opens it again."""
    desk = Desk(Limits(file_bytes=4))
    desk.send(*sent([b"12", b"34", b"5"], [0, 1]))
    desk.add(chunk(2, 2, 3, b"5"))
    assert desk.endings == [Ending.REFUSED_QUOTA]
    assert "limits.file-bytes (4)" in desk.details[-1]
    assert desk.assembler.spooled_bytes == 0
    assert late(desk.add(chunk(3, 1, 3, b"34"))) is Ending.REFUSED_QUOTA


def test_a_chunk_that_is_too_large_ends_its_transfer() -> None:
    """Without an id: nothing can be whole without it, so nothing waits for it."""
    desk = Desk(Limits(chunk_bytes=4))
    desk.add(chunk(0, 0, 3, b"1234"))
    steps = desk.add(chunk(1, 1, 3, b"56789"))
    assert [type(step) for step in steps] == [DropTransfer, Dropped]
    assert desk.endings == [Ending.REFUSED_QUOTA]
    assert "a chunk of 5 bytes; limits.chunk-bytes allows 4" in desk.details[-1]
    assert late(desk.add(chunk(2, 2, 3, b"x"))) is Ending.REFUSED_QUOTA


def test_a_new_version_with_a_chunk_that_is_too_large_ends_the_old_one() -> None:
    """The head of B is refused, and A is superseded by it."""
    desk = Desk(Limits(chunk_bytes=4))
    desk.add(chunk(0, 0, 2, b"A1"))
    desk.add(chunk(1, 0, 2, b"B1 is too large"))
    assert desk.endings == [Ending.SUPERSEDED]
    assert late(desk.add(chunk(2, 1, 2, b"B2"))) is Ending.REFUSED_QUOTA
    assert desk.assembler.open_transfers == 0


def test_a_named_transfer_that_begins_too_large_is_refused() -> None:
    """All of it: the sender sends it again, with another id and smaller chunks."""
    desk = Desk(Limits(chunk_bytes=4))
    desk.refuses(chunk(0, 1, 2, b"56789", claims=T1), "limits.chunk-bytes")
    assert late(desk.add(chunk(1, 0, 2, b"1234", claims=T1))) is Ending.REFUSED_QUOTA


def test_a_named_transfer_goes_on_beside_a_chunk_that_is_too_large() -> None:
    """The limit itself is allowed; the transfer is not harmed by what was refused."""
    desk = Desk(Limits(chunk_bytes=4))
    desk.add(chunk(0, 0, 2, b"1234", claims=T1))
    desk.refuses(chunk(1, 1, 2, b"56789", claims=T1), "a chunk of 5 bytes; limits.chunk-bytes")
    desk.add(chunk(2, 1, 2, b"56", claims=T1))
    assert desk.files == [b"123456"]


def test_while_full_new_transfers_are_refused_and_the_others_go_on() -> None:
    """S14: nobody is evicted; a file in one record needs no place; room is used again."""
    desk = Desk(Limits(open_transfers=2))
    desk.add(chunk(0, 0, 2, b"1", name="a.rpz"))
    desk.add(chunk(1, 0, 2, b"1", name="b.rpz"))
    desk.refuses(chunk(2, 0, 2, b"1", name="c.rpz"), "limits.open-transfers (2) is reached")
    desk.add(chunk(3, 0, 1, b"whole", name="d.rpz"))
    desk.add(chunk(4, 0, 2, b"x", name="a.rpz"))
    assert desk.endings == [Ending.SUPERSEDED], "a new run takes the old one's place"
    desk.add(chunk(5, 1, 2, b"y", name="a.rpz"))
    assert desk.files == [b"whole", b"xy"]
    desk.add(chunk(6, 0, 2, b"1", name="c.rpz"))
    assert desk.assembler.open_transfers == 2


def test_a_full_spool_drops_what_would_not_fit() -> None:
    """The transfer that needs more ends; the others keep what they have."""
    desk = Desk(Limits(spool_bytes=5))
    desk.add(chunk(0, 0, 2, b"123", name="a.rpz"))
    desk.add(chunk(1, 0, 3, b"45", name="b.rpz"))
    desk.add(chunk(2, 1, 3, b"6", name="b.rpz"))
    assert desk.endings == [Ending.REFUSED_QUOTA]
    assert "limits.spool-bytes (5) is reached" in desk.details[-1]
    assert desk.assembler.spooled_bytes == 3
    desk.add(chunk(3, 1, 2, b"67", name="a.rpz"))
    assert (desk.files, desk.assembler.spooled_bytes) == ([b"12367"], 0)


def test_a_transfer_that_is_refused_in_another_partition_releases_that_too() -> None:
    """The chunk that did not fit is read, and must not pin anything."""
    desk = Desk(Limits(spool_bytes=3))
    desk.add(chunk(0, 0, 2, b"123", claims=T1))
    steps = desk.add(chunk(0, 1, 2, b"4", claims=T1, source=P1))
    assert isinstance(steps[-1], Dropped)
    assert steps[-1].sources == (P0, P1)


def test_tracked_chunks_are_bounded_by_what_they_really_take() -> None:
    """Chunks far apart take a page each; the transfer that wants one too many ends."""
    desk = Desk(Limits(tracked_chunks=2 * PAGE))
    desk.add(chunk(0, 0, 1000, b"x"))
    desk.add(chunk(1, PAGE - 1, 1000, b"x"))
    desk.add(chunk(2, PAGE, 1000, b"x"))
    desk.refuses(chunk(3, 0, 2, b"x", name="b.rpz"), "limits.tracked-chunks")
    desk.add(chunk(4, 2 * PAGE, 1000, b"x"))
    assert desk.endings == [Ending.REFUSED_QUOTA]
    assert "limits.tracked-chunks (256) is reached" in desk.details[-1]
    desk.send(*sent([b"1", b"2"], first=5, name="c.rpz"))
    assert desk.files == [b"12"]


def test_what_ended_makes_room_for_what_is_open() -> None:
    """The fingerprints of whole transfers are forgotten first, the oldest before the others."""
    desk = Desk(Limits(tracked_chunks=2 * PAGE))
    desk.send(*sent([b"1", b"2"], name="a.rpz"))
    desk.send(*sent([b"1", b"2"], name="b.rpz", first=2))
    desk.add(chunk(4, 0, 2, b"1", name="c.rpz"))
    assert late(desk.add(chunk(5, 1, 2, b"2", name="b.rpz"))) is Ending.LATE_DUPLICATE
    assert late(desk.add(chunk(6, 1, 2, b"2", name="a.rpz"))) is None
    assert desk.assembler.open_transfers == 2


def test_what_takes_no_room_is_not_forgotten_to_make_room() -> None:
    """Ids are remembered without fingerprints: a flood does not make their duplicates new."""
    desk = Desk(Limits(tracked_chunks=PAGE))
    desk.add(chunk(0, 0, 1, b"1", claims=T1))
    desk.add(chunk(1, 0, 2, b"x", name="b.rpz"))
    for offset in range(2, 5):
        desk.refuses(chunk(offset, 0, 2, b"x", name=f"{offset}.rpz"), "limits.tracked-chunks")
    assert late(desk.add(chunk(9, 0, 1, b"1", claims=T1))) is Ending.LATE_DUPLICATE


def test_a_file_in_one_record_needs_no_room_for_fingerprints() -> None:
    """Nothing of it is tracked, so what others track does not keep it out."""
    desk = Desk(Limits(tracked_chunks=PAGE))
    desk.add(chunk(0, 0, 2, b"x", name="b.rpz"))
    desk.add(chunk(1, 0, 1, b"whole"))
    assert desk.files == [b"whole"]


def test_a_refused_new_run_does_not_hide_how_the_old_one_ended() -> None:
    """The first chunk of a version that is too large ends the version before: that is told."""
    desk = Desk(Limits(file_bytes=9))
    desk.add(chunk(0, 0, 2, b"A1", claims=Claims(size=4)))
    key = next(iter(desk.keys))
    steps = desk.add(chunk(1, 0, 2, b"B1", claims=Claims(size=9_999_999_999)))
    assert key in desk.ended
    assert isinstance(steps[-1], RecordRefused)
    assert steps[-1].ending is Ending.REFUSED_QUOTA


def test_a_flood_of_names_costs_bounded_memory_and_harms_nobody() -> None:
    """S14: 100,000 names, of each the first of two chunks; a real transfer goes on meanwhile."""
    limits = Limits(open_transfers=100, remembered=200)
    desk = Desk(limits)
    assembler = desk.assembler
    refused = 0
    for number in range(100_000):
        name = f"{number}.rpz"
        piece = chunk(number, 0, 2, b"x", name=name)
        [step] = assembler.add(piece, target(name), 0.0)
        refused += isinstance(step, RecordRefused)
        if number in (50, 99_999):
            index = int(number > 50)
            desk.add(chunk(100_000 + index, index, 2, b"real", claims=T1))
    assert desk.files == [b"realreal"]
    assert (refused, assembler.open_transfers) == (99_901, 99)
    assert len(assembler._names) == 99
    assert len(assembler._ended._past) == 200
    assert assembler._tracked == 99 * PAGE


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


def few_claims() -> st.SearchStrategy[Claims]:
    """Draw claims that often agree."""
    return st.builds(
        Claims,
        transfer_id=st.sampled_from(["t1", "t1", "t1", "t2"]),
        size=st.sampled_from([5, 5, 5, 0, None]),
        digest=st.sampled_from([None, None, D1, D2]),
        generation=st.sampled_from([7, 7, 7, 0, None]),
    )


@given(any_claims() | few_claims())
def test_claims_joined_with_themselves_stay_as_they_are(said: Claims) -> None:
    """Nothing is lost, and a digest that is added is kept."""
    assert said.joined(said) == said
    without, added = evolve(said, digest=None), evolve(said, digest=D1)
    assert without.joined(added) == added.joined(without) == added


@given(few_claims(), few_claims())
def test_claims_are_joined_in_either_order(one: Claims, other: Claims) -> None:
    """If nothing but a digest is missing: together they say what both say, and no more."""
    joined = one.joined(other)
    assert joined == other.joined(one)
    digests = {one.digest, other.digest} - {None}
    agree = evolve(one, digest=None) == evolve(other, digest=None) and len(digests) < 2
    assert (joined is not None) is agree
    if joined is not None:
        assert joined == evolve(one, digest=next(iter(digests), None))
        assert joined.joined(one) == joined.joined(other) == joined


# S4 and S9: expiry

_EXPIRY = Limits(expire_after=600.0, expire_offsets=1000, expire_idle=1800.0, expire_total=86400.0)


def _expire(desk: Desk, at: float = 0.0, *, caught_up: bool = False) -> str:
    """Return what is said about the one transfer that expires; empty: none does."""
    desk.follow(desk.assembler.expire(at, caught_up=caught_up))
    return desk.details.pop() if desk.details else ""


def _open(last: Origin | None = None) -> Desk:
    """Return a desk with two of five chunks, the last one at *last*, offset 20 at second 0."""
    desk = Desk(_EXPIRY)
    last = origin(20) if last is None else last
    desk.add(chunk(10, 0, 5, b"1"))
    desk.add(chunk(last.offset, 2, 5, b"3", timestamp=last.timestamp))
    return desk


def test_a_transfer_expires_when_the_log_has_gone_on() -> None:
    """S4: a thousand records after its last chunk; the missing chunks are named as on the wire."""
    desk = _open()
    desk.assembler.note(P0, 1020, 0.0)
    desk.assembler.note(P1, 9999, 9999.0)
    assert _expire(desk) == ""
    desk.assembler.note(P0, 1021, 0.0)
    assert _expire(desk) == (
        "no chunk in the last 1000 records of files[0]; 2 of 5 chunks arrived, "
        "missing: 2, 4, 5; send the file again"
    )
    assert desk.endings == [Ending.EXPIRED]
    assert (desk.assembler.open_transfers, desk.assembler.spooled_bytes) == (0, 0)


def test_a_transfer_expires_by_the_time_of_the_records() -> None:
    """Ten minutes between its last chunk and the newest record, whatever the clock says."""
    desk = _open(origin(20, timestamp=1000.0))
    desk.assembler.note(P0, 21, 1600.0)
    assert _expire(desk) == ""
    desk.assembler.note(P0, 22, 1600.5)
    desk.assembler.note(P0, 23, 5.0)
    assert _expire(desk).startswith("no chunk for 600 s of record time; 2 of 5")


def test_a_record_without_time_does_not_expire_by_it() -> None:
    """The other rules are left."""
    desk = _open()
    desk.assembler.note(P0, 21, 1e12)
    assert _expire(desk) == ""


def test_a_transfer_expires_by_the_clock_only_when_caught_up() -> None:
    """S4: while the log is read again its chunks are old, but nobody was idle."""
    desk = _open()
    desk.add(chunk(21, 1, 5, b"2"), at=100.0)
    assert _expire(desk, 1901.0) == ""
    assert _expire(desk, 1900.0, caught_up=True) == ""
    assert _expire(desk, 1901.0, caught_up=True).startswith("no chunk for 1800 s; 3 of 5")


def test_a_transfer_expires_in_a_day_whatever_still_comes() -> None:
    """A sender that never finishes does not pin the log for ever."""
    desk = _open()
    desk.add(chunk(21, 1, 5, b"2"), at=86_000.0)
    assert _expire(desk, 86_400.0) == ""
    assert _expire(desk, 86_401.0).startswith("not whole after 86400 s; 3 of 5")


def test_a_transfer_without_its_head_is_told_as_such() -> None:
    """S9: the log was cut before it; ten missing chunks are named, the rest is dots."""
    desk = Desk(_EXPIRY)
    desk.add(chunk(10, 12, 20, b"x"))
    said = _expire(desk, 90_000.0)
    assert "1 of 20 chunks arrived, missing: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …; send" in said
    assert desk.endings == [Ending.HEAD_MISSING]


@pytest.mark.parametrize(("index", "dots"), [(10, False), (11, True)])
def test_dots_stand_for_chunks_that_are_not_named(index: int, dots: bool) -> None:
    """Ten missing chunks are a list, eleven are a list with dots."""
    desk = Desk(_EXPIRY)
    desk.add(chunk(10, index, index + 1, b"x"))
    assert ("…" in _expire(desk, 90_000.0)) is dots


def test_chunks_of_an_expired_transfer_come_too_late() -> None:
    """They open nothing; without an id a first chunk does, it may be a new version."""
    desk = Desk(_EXPIRY)
    desk.send(*sent([b"1", b"2", b"3"], [0, 1]))
    desk.send(*sent([b"1", b"2", b"3"], [0, 1], first=2, claims=T1))
    desk.follow(desk.assembler.expire(90_000.0, caught_up=True))
    assert late(desk.add(chunk(4, 2, 3, b"3"))) is Ending.EXPIRED
    assert late(desk.add(chunk(5, 2, 3, b"3", claims=T1))) is Ending.EXPIRED
    assert late(desk.add(chunk(6, 0, 3, b"1", claims=T1))) is Ending.EXPIRED
    desk.send(*sent([b"x", b"y", b"z"], first=7))
    assert desk.files == [b"xyz"]


def test_a_file_that_is_sent_backwards_after_a_failure_is_refused_aloud() -> None:
    """By the four headers alone its chunks may be a late tail: never joined, always told."""
    desk = Desk(_EXPIRY)
    desk.send(*sent([b"1", b"2", b"3"], [0]))
    desk.follow(desk.assembler.expire(90_000.0, caught_up=True))
    desk.send(*sent([b"x", b"y", b"z"], [2, 1, 0], first=3))
    desk.follow(desk.assembler.expire(90_000.0, caught_up=True))
    assert desk.endings == [Ending.EXPIRED] * 2
    desk.send(*sent([b"x", b"y", b"z"], first=6))
    assert desk.files == [b"xyz"]


# What is newer, what starts anew, what has no place


def test_older_open_transfers_end_when_a_newer_version_is_in_place() -> None:
    """S15: the older one only: not the newer, not the doubtful, not those of other files."""
    desk = Desk()
    desk.add(chunk(1, 0, 2, b"x", claims=T1))
    desk.add(chunk(9, 0, 2, b"x", claims=T2))
    desk.add(chunk(1, 0, 3, b"x", source=P1))
    desk.add(chunk(2, 0, 2, b"x", name="b.rpz"))
    steps = desk.follow(desk.assembler.supersede("a.rpz", origin(5)))
    assert [step.key.offset for step in steps if isinstance(step, Dropped)] == [1]
    assert (desk.endings, desk.assembler.open_transfers) == ([Ending.SUPERSEDED], 3)
    assert "files[0]@5" in desk.details[-1]
    assert late(desk.add(chunk(10, 1, 2, b"y", claims=T1))) is Ending.SUPERSEDED


def test_a_version_in_place_of_which_nothing_is_open_ends_nothing() -> None:
    """The usual case."""
    assert Desk().assembler.supersede("a.rpz", origin(5)) == []


def test_a_log_that_starts_anew_ends_what_was_read_of_it() -> None:
    """Open transfers end, what ended is no longer known, another partition stays as it is."""
    desk = Desk()
    desk.send(*sent([b"1", b"2"], first=90))
    desk.send(*sent([b"1", b"2"], first=90, source=P1, name="b.rpz"))
    desk.add(chunk(92, 0, 3, b"x"))
    desk.add(chunk(92, 0, 3, b"x", source=P1))
    desk.follow(desk.assembler.forget(P0, "cut"))
    assert (desk.endings, desk.details) == ([Ending.HEAD_MISSING], ["cut"])
    assert desk.assembler.open_transfers == 1
    desk.assembler.begin(P0, boundary=True)
    desk.send(*sent([b"1", b"2"], [1, 0], first=0))
    assert desk.files == [b"12", b"12", b"12"]
    assert late(desk.add(chunk(93, 1, 2, b"2", source=P1, name="b.rpz"))) is Ending.LATE_DUPLICATE


def test_the_clocks_of_a_log_that_starts_anew_start_anew() -> None:
    """Offset and time of the old log expire nothing of the new one."""
    desk = Desk(_EXPIRY)
    desk.assembler.note(P0, 1_000_000, 1e9)
    desk.follow(desk.assembler.forget(P0, "cut"))
    desk.add(chunk(3, 0, 2, b"x", timestamp=5.0))
    assert _expire(desk) == ""


def test_a_new_log_never_writes_where_the_old_one_did() -> None:
    """Equal offsets of two logs name two places on disk: the old one may not be removed yet."""
    desk = Desk()
    desk.add(chunk(3, 0, 2, b"old"))
    desk.follow(desk.assembler.forget(P0, "cut"))
    desk.send(*sent([b"n", b"ew"], first=3))
    assert desk.files == [b"new"]


def test_a_named_transfer_of_a_log_that_starts_anew_may_be_read_again() -> None:
    """The log was cut and is read from its start: all of the transfer is there, and is used."""
    desk = Desk()
    pieces = sent([b"1", b"2", b"3"], claims=T1, first=5)
    desk.send(*pieces[:2])
    desk.follow(desk.assembler.forget(P0, "cut"))
    desk.send(*pieces)
    assert desk.files == [b"123"]


def test_a_transfer_without_a_place_for_its_file_is_refused() -> None:
    """Its bytes go, and later chunks of it are late; the others are not concerned."""
    desk = Desk()
    desk.add(chunk(1, 0, 2, b"x", claims=T1))
    desk.add(chunk(2, 0, 2, b"x", name="b.rpz"))
    desk.follow(desk.assembler.refuse(TransferKey(0, 1), "a symbolic link is in the way"))
    assert (desk.endings, desk.assembler.open_transfers) == ([Ending.REFUSED_NAME], 1)
    assert desk.details == ["a symbolic link is in the way"]
    assert late(desk.add(chunk(3, 1, 2, b"y", claims=T1))) is Ending.REFUSED_NAME


def test_a_transfer_that_is_not_open_cannot_be_refused() -> None:
    """It is whole already, or ended: its plan, or nobody, has something to say."""
    desk = Desk()
    desk.add(chunk(2, 0, 2, b"x"))
    assert desk.assembler.refuse(TransferKey(0, 1), "too late") == []
    assert desk.assembler.open_transfers == 1


# Pages


def test_a_fingerprint_is_never_zero_and_knows_the_length() -> None:
    """Zero means not seen; equal checksums of other lengths differ."""
    assert fingerprint(b"") != 0
    assert fingerprint(b"") != fingerprint(b"\x9d\x0a\xd9\x6d"), "both have checksum 0"
    assert fingerprint(b"ab") == fingerprint(b"ab")


def test_pages_take_what_their_chunks_need() -> None:
    """A page for each run of chunks that was touched, nothing for those that were not."""
    pages = Pages()
    assert (len(pages), pages.get(5), pages.needs_page(5)) == (0, 0, True)
    pages.put(5, 1 << 63)
    pages.put(PAGE - 1, 7)
    pages.put(90_000, 8)
    assert len(pages) == 2 * PAGE
    assert (pages.get(5), pages.get(PAGE - 1), pages.get(90_000)) == (1 << 63, 7, 8)
    assert (pages.get(6), pages.needs_page(6), pages.needs_page(PAGE)) == (0, False, True)


def test_what_is_not_remembered_can_be_forgotten() -> None:
    """Nothing happens."""
    memory = Ended(2)
    memory.forget((P0, "a.rpz", 3))
    assert memory.tracked == 0


# Any history


@define
class Sending:
    """One attempt to send a file; without an id its chunks come in order, from one partition."""

    name: str
    source: TopicPartition
    pieces: list[bytes]
    claims: Claims
    #: The one chunk that says the digest; None: each says it, if there is one.
    digest_at: int | None = None
    next: int = 0

    def says(self, index: int) -> Claims:
        """Return the claims of one chunk."""
        if self.digest_at is None or index == self.digest_at % len(self.pieces):
            return self.claims
        return evolve(self.claims, digest=None)

    @property
    def identity(self) -> object:
        """Return what tells its transfer from others, runs apart."""
        if self.claims.transfer_id is not None:
            return self.claims.transfer_id
        return self.source, self.name, len(self.pieces)


@define
class Run:
    """What the model knows of an open transfer."""

    sending: Sending
    opened_at: float
    touched_at: float
    origin: Origin
    last: Origin
    sources: set[TopicPartition]
    repeats: bool
    headless: bool
    chunks: dict[int, bytes] = field(factory=dict)


_NAMES = {"a.rpz": P0, "b.rpz": P1}
_DATA = st.sampled_from([b"x", b"x", b"y", b"", b"long", b"too long"])
_TIGHT = Limits(
    chunks_per_file=4,
    chunk_bytes=4,
    file_bytes=9,
    spool_bytes=8,
    open_transfers=3,
    tracked_chunks=2 * PAGE,
    remembered=3,
    expire_offsets=10,
    expire_after=20.0,
    expire_idle=30.0,
    expire_total=60.0,
)
_ROOMY = Limits(expire_offsets=10, expire_after=20.0, expire_idle=30.0, expire_total=60.0)


class Assembling(RuleBasedStateMachine):
    """
    Several senders, losses, duplicates and logs that start anew, in any order.

    With room for everything, each answer is the one of a model that has a
    dictionary per transfer. A whole file is what one sender sent, except
    where chunks without an id come out of order. In tight limits only named
    transfers are sent, and what must hold is checked, here as everywhere:
    one outcome for each transfer, and what is counted is what is there.
    """

    now = 0.0
    tight = ordered = False
    started = 0
    #: The bytes of the last whole transfer, as the model has them.
    last = b""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(_ROOMY)
        self.offsets = {P0: 0, P1: 0}
        self.newest = {P0: (0, 0.0), P1: (0, 0.0)}
        self.sendings: list[Sending] = []
        self.by_record: dict[tuple[TransferKey | TopicPartition, int], Sending] = {}
        self.runs: dict[object, Run] = {}
        #: How transfers ended; with the chunks of a whole one without an id.
        self.past: dict[object, tuple[Ending, dict[int, bytes] | None]] = {}
        #: Of the partitions that are read from the middle: the files whose head was seen.
        self.heads: dict[TopicPartition, set[str]] = {}

    @initialize(mode=st.sampled_from(["tight", "in order", "in order", "any order"]))
    def choose(self, mode: str) -> None:
        self.tight, self.ordered = mode == "tight", mode == "in order"
        if self.tight:
            self.desk = Desk(_TIGHT)

    # Senders

    @rule(
        name=st.sampled_from(sorted(_NAMES)),
        pieces=st.sampled_from([1, 2, 3, 3, 3, 5]).flatmap(
            lambda count: st.lists(_DATA, min_size=count, max_size=count)
        ),
        named=st.booleans(),
        size=st.sampled_from([False, False, True]),
        digest=st.sampled_from([None, D1, D2]),
        digest_at=st.none() | st.integers(0, 4),
        indexes=st.lists(st.integers(0, 4), max_size=5),
    )
    def begin(
        self,
        *,
        name: str,
        pieces: list[bytes],
        named: bool,
        size: bool,
        digest: bytes | None,
        digest_at: int | None,
        indexes: list[int],
    ) -> None:
        self.started += 1
        identity = f"t{self.started}" if named or self.tight else None
        claims = Claims(
            transfer_id=identity, size=sum(map(len, pieces)) if size else None, digest=digest
        )
        if identity is None:
            self.stop_unnamed(name)
            digest_at = None
        sending = Sending(name, _NAMES[name], pieces, claims, digest_at)
        self.sendings.append(sending)
        self.go_on(sending, indexes, sending.source)

    def stop_unnamed(self, name: str) -> None:
        """One writer per file: what it sent before is abandoned."""
        self.sendings = [
            sending
            for sending in self.sendings
            if sending.claims.transfer_id is not None or sending.name != name
        ]

    @rule(
        which=st.integers(0, 3),
        indexes=st.lists(st.integers(0, 4), min_size=1, max_size=5),
        source=st.sampled_from([P0, P1]),
        seconds=st.sampled_from([0.0, 0.0, 12.0]),
    )
    def send(self, which: int, indexes: list[int], source: TopicPartition, seconds: float) -> None:
        """Let one of the newest senders send chunks: any if it has a name, else the next ones."""
        self.now += seconds
        if not self.sendings:
            return
        self.go_on(self.sendings[-1 - which % len(self.sendings[-4:])], indexes, source)

    def go_on(self, sending: Sending, indexes: list[int], source: TopicPartition) -> None:
        for index in indexes:
            if sending.claims.transfer_id is not None or not self.ordered:
                where = source if sending.claims.transfer_id else sending.source
                self.receive(sending, index % len(sending.pieces), where)
                continue
            place, sending.next = sending.next, sending.next + 1
            # A lost head is another story (S9), and a repeated one begins anew.
            times = {3: 2, 4: 0}.get(index, 1) if place else 1
            for _ in range(times if place < len(sending.pieces) else 0):
                self.receive(sending, place, sending.source)

    def receive(self, sending: Sending, index: int, source: TopicPartition) -> None:
        self.offsets[source] += 1
        offset = self.offsets[source]
        piece = chunk(
            offset,
            index,
            len(sending.pieces),
            sending.pieces[index],
            name=sending.name,
            source=source,
            timestamp=self.now,
            claims=sending.says(index),
        )
        self.by_record[source, offset] = sending
        steps = self.desk.add(piece, self.now)
        self.desk.assembler.note(source, offset, self.now)
        self.newest[source] = offset, self.now
        for step in steps:
            if isinstance(step, Whole):
                self.check_whole(step)
        if not self.tight:
            self.compare(steps, self.model(sending, piece))

    def check_whole(self, done: Whole) -> None:
        sending = self.by_record[done.origin.source, done.origin.offset]
        assert done.claims == sending.claims
        if self.ordered or done.claims.transfer_id is not None:
            assert self.desk.files[-1] == b"".join(sending.pieces), "chunks of two transfers"

    # The model

    def model(self, sending: Sending, piece: Chunk) -> list[object]:
        """Return what is to follow from a chunk, in short."""
        identity, named = sending.identity, sending.claims.transfer_id is not None
        index, answer = piece.index, list[object]()
        run = self.runs.get(identity)
        if run is not None:
            seen = run.chunks.get(index)
            if seen is not None and (named or (index and seen == piece.data)):
                return []
            if run.headless and index == 0:
                answer.append(Ending.HEAD_MISSING)
                del self.runs[identity]
                self.remember(identity, Ending.HEAD_MISSING)
            elif seen is not None or run.sending.claims != sending.claims:
                answer.append(Ending.SUPERSEDED)
                del self.runs[identity]
                self.remember(identity, Ending.SUPERSEDED)
        elif identity in self.past:
            ending, chunks = self.past[identity]
            first = not named and index == 0
            if not first and (chunks is None or chunks.get(index) == piece.data):
                return [("late", ending)]
        where = piece.origin
        heads = self.heads.get(where.source, {piece.name})
        if index == 0:
            heads.add(piece.name)
        if identity not in self.runs:
            _, chunks = self.past.get(identity, (None, None))
            repeats = (chunks or {}).get(index) == piece.data
            headless = not named and piece.name not in heads
            self.runs[identity] = Run(
                sending, self.now, self.now, where, where, set(), repeats, headless
            )
        run = self.runs[identity]
        run.chunks[index] = piece.data
        run.touched_at, run.last = self.now, piece.origin
        run.sources.add(piece.origin.source)
        answer.append("stored")
        if len(run.chunks) == piece.count:
            answer.append("whole")
            self.last = b"".join(run.chunks[place] for place in range(piece.count))
            del self.runs[identity]
            if named:
                self.remember(identity, Ending.LATE_DUPLICATE)
            elif piece.count > 1:
                self.remember(identity, Ending.LATE_DUPLICATE, run.chunks)
        return answer

    def remember(
        self, identity: object, ending: Ending, chunks: dict[int, bytes] | None = None
    ) -> None:
        self.past[identity] = ending, chunks

    def forget_one(self, identity: object) -> None:
        self.past.pop(identity, None)

    def compare(self, steps: list[Step], expected: list[object]) -> None:
        answer: list[object] = []
        for step in steps:
            match step:
                case AppendChunk():
                    answer.append("stored")
                case Whole():
                    answer.append("whole")
                case Dropped(outcome=outcome):
                    answer.append(outcome.ending)
                case RecordRefused(ending=ending):
                    answer.append(("late", ending))
        assert answer == expected
        assert "whole" not in expected or self.desk.files[-1] == self.last

    def lose(self, steps: list[Step], expected: dict[object, Ending]) -> None:
        """Check that just the runs *expected* ended, and how."""
        if self.tight:
            return
        told = {
            (step.outcome.origin, step.outcome.ending, frozenset(step.sources))
            for step in steps
            if isinstance(step, Dropped)
        }
        assert told == {
            (self.runs[identity].origin, ending, frozenset(self.runs[identity].sources))
            for identity, ending in expected.items()
        }
        for identity, ending in expected.items():
            del self.runs[identity]
            self.remember(identity, ending)

    def overdue(self, run: Run, caught_up: bool) -> bool:
        offset, timestamp = self.newest[run.last.source]
        assert run.last.timestamp is not None
        return (
            offset - run.last.offset > 10
            or timestamp - run.last.timestamp > 20
            or (caught_up and self.now - run.touched_at > 30)
            or self.now - run.opened_at > 60
        )

    # What else happens

    @rule(
        what=st.sampled_from(["expire", "idle", "late", "supersede", "forget", "refuse", "end"]),
        name=st.sampled_from(sorted(_NAMES)),
        source=st.sampled_from([P0, P1]),
        number=st.integers(0, 5),
    )
    def interfere(self, what: str, name: str, source: TopicPartition, number: int) -> None:
        match what:
            case "expire" | "idle" | "late":
                seconds = {"expire": 15.0, "idle": 40.0, "late": 0.0}[what]
                self.expire(seconds, caught_up=bool(number % 2))
            case "supersede":
                self.supersede(name, source, number)
            case "forget":
                self.forget(source)
            case "refuse":
                self.refuse(number)
            case _:
                self.all_end()

    def expire(self, seconds: float, caught_up: bool) -> None:
        self.now += seconds
        late_ones = dict[object, Ending]()
        for identity, run in self.runs.items():
            if self.overdue(run, caught_up):
                ending = Ending.EXPIRED if 0 in run.chunks else Ending.HEAD_MISSING
                alone = len(run.chunks) == 1
                late_ones[identity] = Ending.LATE_DUPLICATE if alone and run.repeats else ending
        steps = self.desk.follow(self.desk.assembler.expire(self.now, caught_up=caught_up))
        self.lose(steps, late_ones)

    def supersede(self, name: str, source: TopicPartition, back: int) -> None:
        newer = origin(self.offsets[source] - back, source, timestamp=self.now)
        older = {
            identity: Ending.SUPERSEDED
            for identity, run in self.runs.items()
            if run.sending.name == name and run.origin.age_against(newer) == -1
        }
        self.lose(self.desk.follow(self.desk.assembler.supersede(name, newer)), older)
        if any(not isinstance(identity, str) for identity in older):
            self.stop_unnamed(name)

    def forget(self, source: TopicPartition) -> None:
        gone = {
            identity: Ending.HEAD_MISSING
            for identity, run in self.runs.items()
            if source in run.sources
        }
        self.lose(self.desk.follow(self.desk.assembler.forget(source, "cut")), gone)
        for identity in [*gone, *self.past]:
            if identity in gone or (isinstance(identity, tuple) and identity[0] == source):
                self.forget_one(identity)
        for name, where in _NAMES.items():
            if where == source:
                self.stop_unnamed(name)
        self.offsets[source], self.newest[source] = 0, (0, 0.0)
        self.heads[source] = set()

    def refuse(self, which: int) -> None:
        keys = sorted(self.desk.keys, key=str)
        if keys:
            key = keys[which % len(keys)]
            refused = {
                identity: Ending.REFUSED_NAME
                for identity, run in self.runs.items()
                if (run.origin.source.partition, run.origin.offset) == (key.partition, key.offset)
            }
            self.lose(self.desk.follow(self.desk.assembler.refuse(key, "no place")), refused)

    def all_end(self) -> None:
        """When everything has ended and is forgotten, nothing is left."""
        self.now += 61
        self.expire(0.0, caught_up=True)
        assembler = self.desk.assembler
        assert (assembler.open_transfers, self.desk.keys) == (0, set())
        assert not self.desk.disk.stored
        for source in (P0, P1):
            self.forget(source)
        assert (assembler.spooled_bytes, assembler._tracked, assembler._ended.tracked) == (0, 0, 0)
        assert not assembler._names

    @invariant()
    def what_is_counted_is_there(self) -> None:
        assembler, limits = self.desk.assembler, self.desk.limits
        opened = assembler._open.values()
        assert {transfer.key for transfer in opened} == self.desk.keys
        stored = self.desk.disk.stored.values()
        assert assembler.spooled_bytes == sum(len(x) for parts in stored for x in parts.values())
        assert assembler._tracked == sum(len(transfer.pages) for transfer in opened)
        if self.ordered:
            assert not any(transfer.headless for transfer in opened), "no head was lost"
        past = assembler._ended._past
        assert assembler._ended.tracked == sum(len(ended.pages) for ended in past.values())
        assert assembler._tracked + assembler._ended.tracked <= limits.tracked_chunks
        assert assembler.spooled_bytes <= limits.spool_bytes
        assert assembler.open_transfers <= limits.open_transfers
        assert len(past) <= limits.remembered
        assert set(assembler._ended._paged) == {key for key, ended in past.items() if ended.pages}


TestAssembling = Assembling.TestCase
TestAssembling.settings = examples(200, steps=20)
