"""
The partitions that are read: from where, how far, and what pins them.

Theory. The transport says what is there and what went wrong; here it is
decided where to read on, and the ledger is told when a log starts anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from filesync._assembler import Assembler
from filesync._catchup import CatchUp
from filesync._effects import Assign, Report, SaveJournal
from filesync._keeper import Keeper
from filesync._model import Record, TopicPartition
from filesync._positions import Positions
from filesync._resume import resume
from filesync.transport import OutOfRange, PartitionFound, Polled, Unreadable

__all__ = ["Reading", "in_order"]


@define
class Reading:
    """
    Where reading is.

    Attributes:
        keeper: Of the ledger, which has the positions of the last run.
        assembler: Is told where reading begins.
        from_end: Whether an unknown partition is read from its end; once
            caught up, what is new is read from its start.
        positions: How far each partition is read, and what pins it.
        catchup: What is left of the log as it was at start.
        catching_up: Whether that still matters.
    """

    keeper: Keeper
    assembler: Assembler
    from_end: bool
    positions: Positions = field(factory=Positions)
    catchup: CatchUp = field(factory=CatchUp)
    catching_up: bool = True

    def found(self, found: PartitionFound) -> list[SaveJournal | Assign | Report]:
        """Begin to read a partition."""
        save = self.keeper.log_seen(found)
        position = self.keeper.ledger.positions.get(found.source)
        begun = self._begin(found.source, position, found.start, found.end)
        return begun if save is None else [save, *begun]

    def out_of_range(self, fault: OutOfRange) -> list[SaveJournal | Assign | Report]:
        """Go on in a partition whose position is not in the log."""
        return self._begin(fault.source, fault.position, fault.start, fault.end)

    def forget(self, source: TopicPartition) -> None:
        """*source* is no longer read."""
        self.positions.forget(source)
        self.catchup.forget(source)

    def _begin(
        self, source: TopicPartition, position: int | None, start: int, end: int
    ) -> list[SaveJournal | Assign | Report]:
        latest = self.from_end and self.catching_up
        resumed = resume(source, position, start=start, end=end, latest=latest)
        self.positions.start(source, resumed.position)
        self.assembler.begin(source, boundary=resumed.boundary)
        if self.catching_up:
            self.catchup.expect(source, resumed.position, end)
        effects: list[SaveJournal | Assign | Report] = []
        save = self.keeper.log_cut(source) if resumed.cut else None
        if save is not None:
            effects.append(save)
        if resumed.told is not None:
            effects.append(Report(resumed.told))
        return [*effects, Assign({source: resumed.position})]


def in_order(polled: Polled) -> Iterator[Record | Unreadable]:
    """
    Yield the records, and among them, in the order of offsets, those that could not be read.

    What is read behind a hole must know of it, and what came before must not:
    what becomes of them would depend on which records came in one poll.
    """
    holes: dict[TopicPartition, list[Unreadable]] = {}
    for fault in polled.faults:
        if isinstance(fault, Unreadable):
            holes.setdefault(fault.source, []).append(fault)
    for ahead in holes.values():
        ahead.sort(key=lambda hole: hole.offset, reverse=True)
    for record in polled.records:
        if holes:
            ahead = holes.get(record.source, [])
            while ahead and ahead[-1].offset < record.offset:
                yield ahead.pop()
        yield record
    for source in sorted(holes):
        yield from reversed(holes[source])
