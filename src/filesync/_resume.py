"""
Where to read a partition from: the journal's position, the log's start, or its end.

A position is trusted only inside the log. Below it, records were removed
before they were read: reading goes on at the log's start, and that is told.
Beyond it, the log was cut or is another one: it is read from its start, and
nothing that was known of its order counts any more.

Source: docs/explanation/delivery.md, "Positions".
"""

from __future__ import annotations

from filesync._model import TopicPartition
from filesync._outcomes import FaultSeen
from filesync._values import frozen

__all__ = ["Resumed", "resume"]


@frozen(kw_only=True)
class Resumed:
    """
    The decision for one partition.

    Attributes:
        position: Read from here.
        boundary: Whether no transfer is cut in two by it: it was saved as a
            safe position, or is the very first offset.
        cut: Whether the log is shorter than it was: its order is void.
        told: What the operator should know, if anything.
    """

    position: int
    boundary: bool
    cut: bool = False
    told: FaultSeen | None = None


def resume(
    source: TopicPartition, position: int | None, *, start: int, end: int, latest: bool
) -> Resumed:
    """
    Decide where to read *source* from.

    Args:
        source: The partition.
        position: What was to be read next; None when nothing is known.
        start: First offset that can be read.
        end: End of the partition.
        latest: Whether an unknown position means the end rather than the start.
    """
    if position is None:
        position = end if latest else start
        return Resumed(position=position, boundary=position == 0)
    if position < start:
        return Resumed(
            position=start,
            boundary=False,
            told=FaultSeen(
                label="log_gap",
                detail=f"{start - position} records of {source}, from offset {position}, were "
                "removed before they were read; files sent in them must be sent again",
            ),
        )
    if position > end:
        return Resumed(
            position=start,
            boundary=start == 0,
            cut=True,
            told=FaultSeen(
                label="log_truncated",
                detail=f"{source} ends at offset {end}, before the position {position}: "
                "the log was cut, and is read from its start again",
            ),
        )
    return Resumed(position=position, boundary=True)
