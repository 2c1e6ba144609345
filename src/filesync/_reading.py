"""
The partitions that are read: from where, how far, and what pins them.

Theory. The transport says what is there and what went wrong; here it is
decided where to read on, and all who remember something of a log are told when
it starts anew.
"""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

from filesync import _assembler
from filesync._assembler import Assembler
from filesync._catchup import CatchUp
from filesync._committer import Committer
from filesync._effects import Assign, SaveJournal
from filesync._keeper import Keeper
from filesync._model import Record, TopicPartition
from filesync._outcomes import FaultSeen
from filesync._positions import Positions
from filesync._resume import resume
from filesync.transport import (
    Fault,
    OutOfRange,
    PartitionFound,
    PartitionLost,
    Polled,
    TopicRecreated,
    Unreadable,
)

__all__ = ["Reading", "Step", "in_order"]

Step = _assembler.Step | SaveJournal | Assign | FaultSeen


@define
class Reading:
    """
    Where reading is.

    Attributes:
        keeper: Of the ledger, which has the positions of the last run.
        assembler: Is told where reading begins, and what is gone.
        committer: Is told whose age means nothing any more.
        from_end: Whether an unknown partition is read from its end; once
            caught up, what is new is read from its start.
        positions: How far each partition is read, and what pins it.
        catchup: What is left of the log as it was at start.
        catching_up: Whether that still matters.
    """

    keeper: Keeper
    assembler: Assembler
    committer: Committer
    from_end: bool
    positions: Positions = field(factory=Positions)
    catchup: CatchUp = field(factory=CatchUp)
    catching_up: bool = True

    def heed(self, fault: Fault) -> list[Step]:
        """Return what follows from *fault*, in order."""
        match fault:
            case PartitionFound(source=source, start=start, end=end):
                save = self.keeper.log_seen(fault)
                position = self.keeper.ledger.positions.get(source)
                begun = self._begin(source, position, start, end)
                return begun if save is None else [save, *begun]
            case PartitionLost(source=source):
                steps = self._forget(source, f"the partition {source} is gone")
                detail = f"{source} is gone and is no longer read"
                return [*steps, FaultSeen(label="partition_lost", detail=detail)]
            case TopicRecreated(topic=topic):
                detail = f"the topic {topic} was deleted and created again"
                gone = [source for source in self.positions.reading() if source.topic == topic]
                steps = [step for source in gone for step in self._forget(source, detail)]
                detail = f"{detail}; it is read from its start"
                return [*steps, FaultSeen(label="topic_recreated", detail=detail)]
            case OutOfRange(source=source, position=position, start=start, end=end):
                steps = self._forget(source, f"the log of {source} no longer holds all of it")
                return [*steps, *self._begin(source, position, start, end)]
            case Unreadable(
                source=source, offset=offset, why=why
            ):  # pragma: no branch - nothing else is left.
                # It may have been the head of a transfer.
                self.assembler.begin(source, boundary=False)
                detail = f"record {source}@{offset} was passed over, it is unreadable: {why}"
                return [FaultSeen(label="unreadable", detail=detail)]

    def _forget(self, source: TopicPartition, why: str) -> list[Step]:
        steps: list[Step] = [*self.assembler.forget(source, why)]
        self.committer.forget(source)
        self.positions.forget(source)
        self.catchup.forget(source)
        return steps

    def _begin(
        self, source: TopicPartition, position: int | None, start: int, end: int
    ) -> list[Step]:
        latest = self.from_end and self.catching_up
        resumed = resume(source, position, start=start, end=end, latest=latest)
        self.positions.start(source, resumed.position)
        self.assembler.begin(source, boundary=resumed.boundary)
        if self.catching_up:
            self.catchup.expect(source, resumed.position, end)
        steps: list[Step] = []
        save = self.keeper.log_cut(source) if resumed.cut else None
        if save is not None:
            steps.append(save)
        if resumed.told is not None:
            steps.append(resumed.told)
        self.committer.know(self.keeper.ledger.files)
        return [*steps, Assign({source: resumed.position})]


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
