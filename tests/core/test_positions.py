"""The safe position is the lower of what was read and what is still held."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import permutations, product

from attrs import define
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filesync._model import TopicPartition
from filesync._positions import Positions
from strategies import SOURCES

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)

HOLDERS = ("A", "B", "C", "D")


@define
class Use:
    """What one transfer used of one partition, in the naive model."""

    holder: str
    source: TopicPartition
    first: int
    last: int
    ended: bool = False


def safe(position: int, held: Iterable[int], ended: Collection[tuple[int, int]]) -> int:
    """Return the safe position by definition: below all that is held, inside nothing that ended."""
    position = min([position, *held])
    while any(first < position <= last for first, last in ended):
        position -= 1
    return position


class ReadAndHold(RuleBasedStateMachine):
    """
    Partitions are found, read, lost and found again; transfers open and end.

    The model remembers every use there ever was, and tries every position.
    """

    def __init__(self) -> None:
        super().__init__()
        self.positions = Positions()
        self.reading: dict[TopicPartition, int] = {}
        self.uses: list[Use] = []
        self.before: dict[TopicPartition, int] = {}

    def expected(self, source: TopicPartition, but: str | None = None) -> int:
        """Return the safe position of *source* by definition."""
        uses = [use for use in self.uses if use.source == source]
        return safe(
            self.reading[source],
            held=[use.first for use in uses if not use.ended and use.holder != but],
            ended=[(use.first, use.last) for use in uses if use.ended or use.holder == but],
        )

    def held(self, holder: str, source: TopicPartition) -> Use | None:
        """Return what *holder* uses of *source* and has not let go."""
        for use in self.uses:
            if (use.holder, use.source, use.ended) == (holder, source, False):
                return use
        return None

    @rule(source=st.sampled_from(SOURCES), position=st.none() | st.integers(0, 30))
    def start(self, source: TopicPartition, position: int | None) -> None:
        """Begin to read a partition, anew perhaps, or lose it."""
        if position is None:
            self.positions.forget(source)
            self.reading.pop(source, None)
        else:
            self.positions.start(source, position)
            self.reading[source] = position
        self.uses = [use for use in self.uses if use.source != source]
        self.before.pop(source, None)

    @precondition(lambda self: self.reading)
    @rule(
        data=st.data(),
        batch=st.lists(
            st.tuples(
                st.sampled_from(HOLDERS),
                st.sampled_from([0, 0, 0, 2]),
                st.sampled_from([False, False, False, True]),
            ),
            min_size=3,
            max_size=8,
        ),
    )
    def read(self, data: st.DataObject, batch: list[tuple[str, int, bool]]) -> None:
        """Read some records, between others that nobody uses; some end a transfer."""
        source = data.draw(st.sampled_from(sorted(self.reading)))
        following = self.reading[source]
        for holder, gap, ends in batch:
            offset = following + gap
            following = offset + 1
            self.positions.pin(holder, source, offset)
            use = self.held(holder, source)
            if use is None:
                self.uses.append(Use(holder, source, offset, offset))
            else:
                use.last = offset
            if ends:
                self.release(holder, {source})
        self.positions.advance({source: following})
        self.reading[source] = following

    @rule(source=st.sampled_from(SOURCES), holder=st.sampled_from(HOLDERS))
    def pass_over(self, source: TopicPartition, holder: str) -> None:
        """Read a record that nobody uses; or speak of a partition that is not read."""
        if source in self.reading:
            self.reading[source] += 1
            self.positions.advance({source: self.reading[source]})
        else:
            self.positions.pin(holder, source, 0)
            self.positions.advance({source: 0})

    @rule(holder=st.sampled_from(HOLDERS), sources=st.sets(st.sampled_from(SOURCES)))
    def release(self, holder: str, sources: set[TopicPartition]) -> None:
        """End a transfer."""
        self.positions.release(holder, sources)
        for source in sources:
            use = self.held(holder, source)
            if use is not None:
                use.ended = True

    @invariant()
    def the_model_agrees(self) -> None:
        """State that every answer is the model's."""
        assert self.positions.reading() == self.reading
        for but in (None, *HOLDERS):
            expected = {source: self.expected(source, but) for source in self.reading}
            assert self.positions.safe(but) == expected
        for holder in HOLDERS:
            held = any(self.held(holder, source) for source in SOURCES)
            assert self.positions.is_pinning(holder) is held

    @invariant()
    def no_safe_position_goes_back(self) -> None:
        """State that what was safe stays safe, until a partition starts anew."""
        now = self.positions.safe()
        assert all(now[source] >= at for source, at in self.before.items())
        self.before = now


TestReadAndHold = ReadAndHold.TestCase


def test_a_transfer_pins_from_its_first_record_to_its_outcome() -> None:
    """S1: 10 while A is open, 12 once A is abandoned, 15 after B."""
    positions = Positions()
    positions.start(P0, 10)
    positions.pin("A", P0, 10)
    positions.pin("A", P0, 11)
    positions.pin("B", P0, 12)
    positions.advance({P0: 15})
    assert positions.safe() == {P0: 10}
    positions.release("A", [P0])
    assert positions.safe() == {P0: 12}
    assert positions.safe(but="B") == {P0: 15}
    positions.release("B", [P0])
    assert positions.safe() == {P0: 15}


def used(positions: Positions, offsets: str) -> None:
    """Let the transfers that *offsets* spells use one record each, from offset 0 on."""
    positions.start(P0, 0)
    for offset, holder in enumerate(offsets):
        positions.pin(holder, P0, offset)
    positions.advance({P0: len(offsets)})


def test_a_transfer_that_ended_is_not_cut_in_two() -> None:
    """Its tail, read again without its head, would look like the start of something else."""
    positions = Positions()
    used(positions, "ABA")
    positions.release("A", [P0])
    assert positions.safe() == {P0: 0}
    assert positions.safe(but="B") == {P0: 3}
    positions.release("B", [P0])
    assert positions.safe() == {P0: 3}


def test_one_cut_leads_to_the_next() -> None:
    """Two that ended overlap: to spare one is to go back before the other."""
    for order in ("XY", "YX"):
        positions = Positions()
        used(positions, "XYXZY")
        for holder in order:
            positions.release(holder, [P0])
        assert positions.safe() == {P0: 0}, order
        positions.release("Z", [P0])
        assert positions.safe() == {P0: 5}, order


def test_in_no_order_is_anything_cut_in_two() -> None:
    """Three transfers share six records in every way, and end in every order."""
    for offsets in product("XYZ", repeat=6):
        for order in permutations(sorted(set(offsets))):
            positions = Positions()
            used(positions, "".join(offsets))
            spans = {
                holder: (offsets.index(holder), max(n for n in range(6) if offsets[n] == holder))
                for holder in order
            }
            for number, holder in enumerate(order):
                ended = [spans[other] for other in order[: number + 1]]
                held = [spans[other][0] for other in order[number + 1 :]]
                expected = {P0: safe(6, held, ended)}
                assert positions.safe(but=holder) == expected, (offsets, order)
                positions.release(holder, [P0])
                assert positions.safe() == expected, (offsets, order)


def test_a_transfer_that_would_end_now_is_not_cut_in_two_either() -> None:
    """So a commit is told a position that holds once it is durable."""
    positions = Positions()
    used(positions, "ABABC")
    assert positions.safe(but="A") == {P0: 0}
    assert positions.safe(but="B") == {P0: 0}
    positions.release("B", [P0])
    assert positions.safe(but="A") == {P0: 4}


def test_what_cannot_matter_is_not_remembered() -> None:
    """However many end while one stays open, memory stays small, and in the end none is used."""
    positions = Positions()
    positions.start(P0, 0)
    positions.pin("open", P0, 0)
    for number in range(1_000):
        for offset in (2 * number + 1, 2 * number + 2):
            positions.pin(number, P0, offset)
            positions.advance({P0: offset + 1})
        positions.release(number, [P0])
    partition = positions._partitions[P0]
    assert not partition.ended
    assert positions.safe() == {P0: 0}
    for offset, number in enumerate([*range(100), *reversed(range(100))], start=3_000):
        positions.pin(number, P0, offset)
    positions.advance({P0: 4_000})
    for number in range(100):
        positions.release(number, [P0])
    assert partition.ended
    positions.release("open", [P0])
    assert not partition.ended
    assert positions.safe() == {P0: 4_000}


def test_one_transfer_pins_two_partitions() -> None:
    """S12: each is pinned at its own first record, and released on its own."""
    positions = Positions()
    positions.start(P0, 0)
    positions.start(P1, 0)
    positions.pin("A", P0, 3)
    positions.pin("A", P1, 7)
    positions.advance({P0: 9, P1: 9})
    assert positions.safe() == {P0: 3, P1: 7}
    positions.release("A", [P1])
    assert positions.safe() == {P0: 3, P1: 9}
    assert positions.is_pinning("A")
    positions.release("A", [P0, P1])
    assert not positions.is_pinning("A")


def test_a_pin_ahead_of_the_position_holds_nothing_back() -> None:
    """While a batch is taken in, records are ahead of the position."""
    positions = Positions()
    positions.start(P0, 5)
    positions.pin("A", P0, 8)
    assert positions.safe() == {P0: 5}


def test_starting_again_drops_the_pins() -> None:
    """A partition that is read from elsewhere is held by nobody."""
    positions = Positions()
    positions.start(P0, 5)
    positions.pin("A", P0, 5)
    positions.start(P0, 9)
    assert positions.safe() == {P0: 9}
    assert not positions.is_pinning("A")


def test_a_partition_that_is_not_read_has_no_position() -> None:
    """What is said of an unknown partition is not remembered."""
    positions = Positions()
    positions.advance({P0: 5})
    positions.pin("A", P0, 5)
    positions.forget(P0)
    positions.release("A", [P0])
    assert positions.safe() == {}
    assert not positions.is_pinning("A")
