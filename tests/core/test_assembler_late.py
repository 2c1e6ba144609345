"""Chunks that lost their head, come too late, or are overtaken; S3 and S9 of the design."""

from __future__ import annotations

import pytest

from filesync import Limits
from filesync._assembler import Dropped
from filesync._model import Claims, TransferKey
from filesync._outcomes import Ending
from support.desk import T1, T2, Desk, late, sent
from support.pieces import P0, P1, chunk, origin

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
