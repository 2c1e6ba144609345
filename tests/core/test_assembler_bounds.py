"""What the assembler keeps is bounded, in number, size and time; S4, S9 and S14 of the design."""

from __future__ import annotations

import pytest

from filesync import Limits
from filesync._assembler import Dropped
from filesync._effects import DropTransfer
from filesync._ended import PAGE
from filesync._model import Claims, Origin
from filesync._outcomes import Ending, RecordRefused
from support.desk import T1, Desk, late, sent
from support.pieces import P0, P1, chunk, origin, target

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


def test_the_clocks_of_a_log_that_starts_anew_start_anew() -> None:
    """Offset and time of the old log expire nothing of the new one."""
    desk = Desk(_EXPIRY)
    desk.assembler.note(P0, 1_000_000, 1e9)
    desk.follow(desk.assembler.forget(P0, "cut"))
    desk.add(chunk(3, 0, 2, b"x", timestamp=5.0))
    assert _expire(desk) == ""
