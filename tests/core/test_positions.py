"""The safe position is the lower of what was read and what is still held."""

from __future__ import annotations

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filesync._model import TopicPartition
from filesync._positions import Positions
from strategies import SOURCES

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)

HOLDERS = ("A", "B", "C", "D")


@frozen
class Pin:
    """One holder's pin, in the naive model."""

    holder: str
    source: TopicPartition
    offset: int


class ReadAndHold(RuleBasedStateMachine):
    """
    Partitions are found, read, lost and found again; transfers open and end.

    The model is a plain list of pins that is searched from end to end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.positions = Positions()
        self.reading: dict[TopicPartition, int] = {}
        self.next: dict[TopicPartition, int] = {}
        self.pins: list[Pin] = []
        self.before: dict[TopicPartition, int] = {}

    def expected(self, but: str | None = None) -> dict[TopicPartition, int]:
        """Return the safe positions by definition."""
        return {
            source: min(
                [position]
                + [pin.offset for pin in self.pins if pin.source == source and pin.holder != but]
            )
            for source, position in self.reading.items()
        }

    @rule(source=st.sampled_from(SOURCES), position=st.integers(0, 30))
    def start(self, source: TopicPartition, position: int) -> None:
        """Begin to read a partition, anew perhaps."""
        self.positions.start(source, position)
        self.reading[source] = self.next[source] = position
        self.pins = [pin for pin in self.pins if pin.source != source]
        self.before.pop(source, None)

    @rule(source=st.sampled_from(SOURCES))
    def forget(self, source: TopicPartition) -> None:
        """Lose a partition."""
        self.positions.forget(source)
        self.reading.pop(source, None)
        self.pins = [pin for pin in self.pins if pin.source != source]
        self.before.pop(source, None)

    @precondition(lambda self: self.reading)
    @rule(data=st.data(), holder=st.sampled_from(HOLDERS), gap=st.integers(0, 3))
    def read(self, data: st.DataObject, holder: str, gap: int) -> None:
        """Read a record that a transfer uses, past some that none does."""
        source = data.draw(st.sampled_from(sorted(self.reading)))
        offset = self.next[source] + gap
        self.next[source] = offset + 1
        self.positions.pin(holder, source, offset)
        if not any(pin.holder == holder and pin.source == source for pin in self.pins):
            self.pins.append(Pin(holder, source, offset))

    @rule(sources=st.sets(st.sampled_from(SOURCES)))
    def advance(self, sources: set[TopicPartition]) -> None:
        """Take note of how far reading came."""
        moved = {source: self.next.get(source, 99) for source in sources}
        self.positions.advance(moved)
        self.reading.update({key: at for key, at in moved.items() if key in self.reading})

    @rule(holder=st.sampled_from(HOLDERS), sources=st.sets(st.sampled_from(SOURCES)))
    def release(self, holder: str, sources: set[TopicPartition]) -> None:
        """End a transfer."""
        self.positions.release(holder, sources)
        self.pins = [pin for pin in self.pins if pin.holder != holder or pin.source not in sources]

    @rule(source=st.sampled_from(SOURCES), holder=st.sampled_from(HOLDERS))
    def touch_what_is_not_read(self, source: TopicPartition, holder: str) -> None:
        """Speak of a partition that is not read."""
        if source not in self.reading:
            self.positions.pin(holder, source, 0)
            self.positions.advance({source: 0})

    @invariant()
    def the_model_agrees(self) -> None:
        """State that every answer is the model's."""
        assert self.positions.reading() == self.reading
        assert self.positions.safe() == self.expected()
        for holder in HOLDERS:
            assert self.positions.safe(but=holder) == self.expected(but=holder)
            held = any(pin.holder == holder for pin in self.pins)
            assert self.positions.is_pinning(holder) is held

    @invariant()
    def no_safe_position_goes_back(self) -> None:
        """State that what was safe stays safe, until a partition starts anew."""
        safe = self.positions.safe()
        assert all(safe[source] >= at for source, at in self.before.items())
        self.before = safe


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
