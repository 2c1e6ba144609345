"""The memory of transfers that ended: bounded, and never in the way of a new version."""

from __future__ import annotations

from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from filesync._ended import PAGE, Ended, Identity, Pages, fingerprint, identify, is_named
from filesync._model import Chunk, Claims, Kind, Origin, Target, TopicPartition
from filesync._outcomes import Ending

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)
TARGET = Target(name="a.rpz", kind=Kind.DATA)


def chunk(
    index: int = 0,
    *,
    count: int = 3,
    data: bytes = b"x",
    source: TopicPartition = P0,
    transfer_id: str | None = None,
) -> Chunk:
    """Return chunk *index* (from 0) of a file of *count*."""
    return Chunk(
        name="/files/a.rpz",
        index=index,
        count=count,
        data=data,
        origin=Origin(source=source, offset=7),
        claims=Claims(transfer_id=transfer_id),
    )


def pages(*data: bytes) -> Pages:
    """Return the fingerprints of chunks that hold *data*."""
    seen = Pages()
    for index, one in enumerate(data):
        seen.put(index, fingerprint(one))
    return seen


def late(ended: Ended, one: Chunk, name: str = "a.rpz") -> Ending | None:
    """Ask *ended* about *one*, a chunk of the file *name*."""
    target = evolve(TARGET, name=name)
    return ended.late(identify(one, target), one, fingerprint(one.data))


def whole(ended: Ended, one: Chunk, seen: Pages, name: str = "a.rpz") -> list[Identity]:
    """Tell *ended* that *one* made its transfer whole; return what is forgotten for it."""
    return ended.whole(identify(one, evolve(TARGET, name=name)), one, seen)


# Which transfer


def test_a_named_transfer_is_known_by_its_name() -> None:
    """S12: in whatever partition its chunks are; the file belongs to it."""
    one = chunk(transfer_id="t1")
    assert is_named(one)
    assert identify(one, TARGET) == identify(chunk(2, transfer_id="t1", source=P1), TARGET)
    assert identify(one, TARGET) != identify(chunk(transfer_id="t2"), TARGET)
    assert identify(one, TARGET) != identify(one, evolve(TARGET, name="b.rpz"))


def test_a_transfer_without_a_name_is_known_by_place_file_and_count() -> None:
    """S12: chunks of two partitions are never joined by the file's name."""
    one = chunk()
    assert not is_named(one)
    assert identify(one, TARGET) == identify(chunk(2, data=b"other"), TARGET)
    assert identify(one, TARGET) != identify(chunk(source=P1), TARGET)
    assert identify(one, TARGET) != identify(chunk(count=4), TARGET)
    assert identify(one, TARGET) != identify(one, evolve(TARGET, name="b.rpz"))


def test_no_name_passes_for_a_count() -> None:
    """A sender that calls its transfer ``3`` does not meet one of three chunks."""
    assert identify(chunk(transfer_id="3"), TARGET) != identify(chunk(), TARGET)


# Fingerprints


@given(left=st.binary(max_size=8), right=st.binary(max_size=8))
@example(left=b"", right=b"\0")
@example(left=b"\xff\xff\xff\xff", right=b"")
def test_a_fingerprint_tells_chunks_apart(left: bytes, right: bytes) -> None:
    """It is never 0, which means not seen, and fits in eight bytes."""
    assert (fingerprint(left) == fingerprint(right)) == (left == right)
    assert 0 < fingerprint(left) < 1 << 64


def test_a_fingerprint_has_the_length_in_it() -> None:
    """Two chunks with one CRC-32 and two lengths are not the same."""
    assert fingerprint(b"\xff\xff\xff\xff") & 0xFFFFFFFF == 5
    assert fingerprint(b"") == 1


@given(st.dictionaries(st.integers(0, 5 * PAGE), st.integers(1, (1 << 64) - 1)))
def test_pages_are_a_sparse_table(table: dict[int, int]) -> None:
    """Each index holds what was put there, 0 if nothing was, and room is taken by the page."""
    seen = Pages()
    assert not seen
    for index, value in table.items():
        needed = seen.needs_page(index)
        before = len(seen)
        seen.put(index, value)
        assert len(seen) == before + PAGE * needed
        assert not seen.needs_page(index)
    assert {index: seen.get(index) for index in range(6 * PAGE) if seen.get(index)} == table
    assert len(seen) == PAGE * len({index // PAGE for index in table})


def test_a_huge_index_takes_one_page() -> None:
    """S14: nothing is sized by a number that a header gives."""
    seen = Pages()
    seen.put(2147483646, 5)
    assert len(seen) == PAGE
    assert (seen.get(2147483646), seen.get(2147483645), seen.get(0)) == (5, 0, 0)
    seen.put(2147483646, 6)
    assert seen.get(2147483646) == 6


# Late duplicates


def test_nothing_is_late_for_a_transfer_that_is_not_known() -> None:
    """An empty memory lets everything pass."""
    ended = Ended(4)
    assert late(ended, chunk(1)) is None
    assert late(ended, chunk(1, transfer_id="t1")) is None


def test_every_chunk_of_a_named_transfer_that_was_whole_is_late() -> None:
    """S3: with an id it can be told, whatever the bytes are, the first chunk too."""
    ended = Ended(4)
    whole(ended, chunk(2, transfer_id="t1"), pages(b"1", b"2", b"3"))
    for index in range(3):
        assert late(ended, chunk(index, data=b"?", transfer_id="t1")) is Ending.LATE_DUPLICATE
    assert late(ended, chunk(1, transfer_id="t2")) is None
    assert ended.tracked == 0, "of a named transfer no fingerprints are kept"


def test_of_a_transfer_without_a_name_only_equal_bytes_are_late() -> None:
    """S3: other bytes, and any first chunk, may be a new version."""
    ended = Ended(4)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    assert late(ended, chunk(1, data=b"2")) is Ending.LATE_DUPLICATE
    assert late(ended, chunk(2, data=b"3")) is Ending.LATE_DUPLICATE
    assert late(ended, chunk(1, data=b"3")) is None
    assert late(ended, chunk(0, data=b"1")) is None
    assert late(ended, chunk(1, data=b"2", count=4)) is None
    assert late(ended, chunk(1, data=b"2", source=P1)) is None
    assert ended.tracked == PAGE


def test_two_chunks_are_enough_to_be_remembered() -> None:
    """The second is what tells a late duplicate."""
    ended = Ended(4)
    whole(ended, chunk(1, count=2), pages(b"1", b"2"))
    assert late(ended, chunk(1, count=2, data=b"2")) is Ending.LATE_DUPLICATE


def test_a_failed_transfer_is_late_however_it_goes_on() -> None:
    """S4: its ending is told again; without a name a first chunk still begins a new one."""
    ended = Ended(4)
    ended.failed(identify(chunk(), TARGET), Ending.EXPIRED)
    ended.failed(identify(chunk(transfer_id="t1"), TARGET), Ending.REFUSED_QUOTA)
    assert late(ended, chunk(1)) is Ending.EXPIRED
    assert late(ended, chunk(0)) is None
    assert late(ended, chunk(0, transfer_id="t1")) is Ending.REFUSED_QUOTA


def test_a_whole_file_in_one_record_needs_no_memory() -> None:
    """A first chunk is never late, so there is nothing to remember."""
    ended = Ended(1)
    whole(ended, chunk(1), pages(b"1", b"2", b"3"))
    whole(ended, chunk(count=1), pages(b"1"), name="b.rpz")
    assert late(ended, chunk(1, data=b"2")) is Ending.LATE_DUPLICATE
    assert late(ended, chunk(count=1), name="b.rpz") is None


def test_a_newer_version_does_not_make_the_memory_shorter() -> None:
    """A late chunk of the version before the last is still late."""
    for newer in (chunk(2, count=4), chunk(2, transfer_id="t1"), chunk(count=1)):
        ended = Ended(4)
        whole(ended, chunk(2), pages(b"1", b"2", b"3"))
        whole(ended, newer, pages(b"n"))
        assert late(ended, chunk(1, data=b"2")) is Ending.LATE_DUPLICATE
        assert late(ended, chunk(0, data=b"1")) is None


def test_a_newer_version_of_another_file_changes_nothing() -> None:
    """Each file has its own newest version."""
    ended = Ended(4)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    whole(ended, chunk(2), pages(b"4", b"5", b"6"), name="b.rpz")
    assert late(ended, chunk(1, data=b"2")) is Ending.LATE_DUPLICATE
    assert late(ended, chunk(1, data=b"5"), name="b.rpz") is Ending.LATE_DUPLICATE
    assert late(ended, chunk(1, data=b"2"), name="b.rpz") is None
    assert ended.tracked == 2 * PAGE


def test_the_newest_run_of_a_transfer_takes_the_place_of_the_older() -> None:
    """The same file in the same number of chunks: its bytes are what is remembered."""
    ended = Ended(4)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    whole(ended, chunk(2), pages(b"4", b"5", b"6"))
    assert late(ended, chunk(1, data=b"2")) is None
    assert late(ended, chunk(1, data=b"5")) is Ending.LATE_DUPLICATE
    assert ended.tracked == PAGE


def test_a_later_run_that_fails_takes_the_place_too() -> None:
    """Its fingerprints are given back."""
    ended = Ended(4)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    ended.failed(identify(chunk(), TARGET), Ending.EXPIRED)
    assert late(ended, chunk(1, data=b"2")) is Ending.EXPIRED
    assert ended.tracked == 0
    assert ended.free_page() is None


# What may be the start of something after all


def test_a_first_chunk_that_repeats_the_version_before_is_told_apart() -> None:
    """S3: it opens a transfer, and if nothing follows it was a late duplicate."""
    ended = Ended(4)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    for one, repeats in ((chunk(data=b"1"), True), (chunk(data=b"2"), False)):
        assert ended.repeats(identify(one, TARGET), one, fingerprint(one.data)) is repeats
    elsewhere = chunk(data=b"1", source=P1)
    assert not ended.repeats(identify(elsewhere, TARGET), elsewhere, fingerprint(b"1"))
    ended.failed(identify(chunk(), TARGET), Ending.EXPIRED)
    assert not ended.repeats(identify(chunk(), TARGET), chunk(), fingerprint(b"1"))


def test_one_transfer_can_be_forgotten() -> None:
    """What is read again is not late for itself; forgetting it twice is fine."""
    ended = Ended(4)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    late(ended, chunk(1, data=b"2"))
    for _ in range(2):
        ended.forget(identify(chunk(), TARGET))
        assert late(ended, chunk(1, data=b"2")) is None
        assert ended.tracked == 0


# Bounds


def test_the_oldest_is_forgotten_first() -> None:
    """The memory holds as many as it is told to, each anew when it ends again."""
    ended = Ended(2)
    forgotten = [
        ended.failed(identify(chunk(transfer_id=name), TARGET), Ending.EXPIRED)
        for name in ("t1", "t2", "t1", "t3")
    ]
    assert forgotten == [[], [], [], [identify(chunk(transfer_id="t2"), TARGET)]]
    assert late(ended, chunk(transfer_id="t1")) is Ending.EXPIRED
    assert late(ended, chunk(transfer_id="t2")) is None
    assert late(ended, chunk(transfer_id="t3")) is Ending.EXPIRED


def test_what_is_forgotten_for_a_whole_transfer_is_told() -> None:
    """Named or not; a file in one record pushes nothing out."""
    ended = Ended(1)
    told = [
        whole(ended, one, pages(b"1", b"2", b"3"))
        for one in (chunk(2), chunk(count=1), chunk(2, transfer_id="t1"), chunk(2))
    ]
    named = identify(chunk(transfer_id="t1"), TARGET)
    assert told == [[], [], [identify(chunk(), TARGET)], [named]]
    assert ended.tracked == PAGE


def test_a_memory_of_nothing_remembers_nothing() -> None:
    """And counts nothing."""
    ended = Ended(0)
    assert whole(ended, chunk(2), pages(b"1", b"2", b"3")) == [identify(chunk(), TARGET)]
    assert late(ended, chunk(1, data=b"2")) is None
    assert ended.tracked == 0
    assert ended.free_page() is None


def test_a_page_is_freed_by_forgetting_the_oldest_that_has_one() -> None:
    """What has none stays remembered; in the end there is none left to free."""
    ended = Ended(9)
    ended.failed(identify(chunk(transfer_id="t1"), TARGET), Ending.EXPIRED)
    for name in ("a.rpz", "b.rpz"):
        whole(ended, chunk(2), pages(b"1", b"2", b"3"), name=name)
    freed = []
    for tracked in (PAGE, 0, 0):
        freed.append(ended.free_page())
        assert ended.tracked == tracked
    first, second = (identify(chunk(), evolve(TARGET, name=name)) for name in ("a.rpz", "b.rpz"))
    assert freed == [first, second, None]
    assert late(ended, chunk(1, data=b"2")) is None
    assert late(ended, chunk(transfer_id="t1")) is Ending.EXPIRED


def test_what_is_whole_again_is_the_youngest_to_be_freed() -> None:
    """Its place in the queue is that of its last ending."""
    ended = Ended(9)
    for name in ("a.rpz", "b.rpz", "a.rpz"):
        whole(ended, chunk(2), pages(b"1", b"2", b"3"), name=name)
    assert ended.free_page()
    assert late(ended, chunk(1, data=b"2"), name="b.rpz") is None
    assert late(ended, chunk(1, data=b"2"), name="a.rpz") is Ending.LATE_DUPLICATE


def test_what_was_freed_can_be_whole_again() -> None:
    """Forgetting leaves nothing behind that a newer version would stumble over."""
    ended = Ended(9)
    for data in (b"2", b"5"):
        whole(ended, chunk(2), pages(b"1", data, b"3"))
        assert late(ended, chunk(1, data=data)) is Ending.LATE_DUPLICATE
        ended.free_page()
        assert ended.tracked == 0


def test_a_partition_that_starts_anew_is_forgotten() -> None:
    """What was read of it by place; named transfers are the same wherever they are read."""
    ended = Ended(9)
    whole(ended, chunk(2), pages(b"1", b"2", b"3"))
    whole(ended, chunk(2, source=P1), pages(b"4", b"5", b"6"), name="b.rpz")
    ended.failed(identify(chunk(transfer_id="t1"), TARGET), Ending.EXPIRED)
    ended.forget_source(P0)
    assert late(ended, chunk(1, data=b"2")) is None
    assert late(ended, chunk(1, data=b"5", source=P1), name="b.rpz") is Ending.LATE_DUPLICATE
    assert late(ended, chunk(transfer_id="t1")) is Ending.EXPIRED
    assert ended.tracked == PAGE


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
