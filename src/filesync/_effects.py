"""
Every event that the engine takes and every effect that it returns.

An *event* says what happened; an *effect* says what to do about it. What is
started (it has an ``id``) ends in exactly one event that carries that id,
whatever happened to it. ``at`` is always an instant in monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Mapping

from filesync._ledger import Entry, Ledger
from filesync._model import CommittedFile, TopicPartition, TransferKey
from filesync._outcomes import Outcome
from filesync._plan import Plan, PlanResult
from filesync._values import frozen
from filesync.daemon import ActionKind, ActionResult
from filesync.transport import Health, Polled

__all__ = [
    "ActionFinished",
    "AppendChunk",
    "AppendFailed",
    "Assign",
    "BatchPolled",
    "CommitFile",
    "CommitOffsets",
    "DropTransfer",
    "Effect",
    "Event",
    "Finish",
    "HealthSeen",
    "JournalSaved",
    "OffsetsCommitted",
    "Opened",
    "PlanEnded",
    "PollAgain",
    "Report",
    "RunAction",
    "SaveJournal",
    "StopAsked",
    "StopPolling",
    "WakeAt",
    "Woke",
]


# Events


@frozen
class Opened:
    """files-dir is ours, and its journal says *ledger*."""

    at: float
    ledger: Ledger


@frozen
class BatchPolled:
    """
    One poll of the transport came back.

    Attributes:
        at: When.
        wall: The same instant in seconds since 1970: record times are judged
            by it.
        polled: What it brought.
    """

    at: float
    wall: float
    polled: Polled


@frozen
class Woke:
    """The alarm that `WakeAt` set went off."""

    at: float


@frozen
class HealthSeen:
    """The transport's health is another one than before."""

    at: float
    health: Health


@frozen
class AppendFailed:
    """
    A chunk could not be stored.

    Attributes:
        at: When.
        effect: May be carried out again if *passing*.
        error: What the system said.
        passing: Whether it is the disk's trouble, and not the file's place
            (a symbolic link, a directory without rights).
    """

    at: float
    effect: AppendChunk
    error: str
    passing: bool


@frozen
class PlanEnded:
    """The plan of a `CommitFile` ended."""

    at: float
    id: int
    result: PlanResult


@frozen
class ActionFinished:
    """The action of a `RunAction` ended."""

    at: float
    id: int
    result: ActionResult


@frozen
class JournalSaved:
    """The entries of a `SaveJournal` are durable, or *error* says why not."""

    at: float
    id: int
    error: str | None


@frozen
class OffsetsCommitted:
    """The broker was told the offsets, or *error* says why not."""

    at: float
    id: int
    error: str | None


@frozen
class StopAsked:
    """Somebody wants an orderly end."""

    at: float


Event = (
    Opened
    | BatchPolled
    | Woke
    | HealthSeen
    | AppendFailed
    | PlanEnded
    | ActionFinished
    | JournalSaved
    | OffsetsCommitted
    | StopAsked
)


# Effects: microseconds, carried out here and now


@frozen
class AppendChunk:
    """
    Store a chunk.

    Attributes:
        transfer: Names the directory of its segments.
        name: The file, relative to files-dir.
        segment: Index of the segment's first chunk, from 0.
        position: Where in the segment the bytes go: what it held before.
        data: The bytes.
    """

    transfer: TransferKey
    name: str
    segment: int
    position: int
    data: bytes


@frozen
class Assign:
    """Let the transport read these partitions from these positions."""

    positions: Mapping[TopicPartition, int]


@frozen
class WakeAt:
    """Set the one alarm to *at*, in place of any earlier setting; inf: to never."""

    at: float


@frozen
class StopPolling:
    """Do not poll the transport until `PollAgain`: there is enough to do."""


@frozen
class PollAgain:
    """Poll the transport again."""


@frozen
class Report:
    """Tell *outcome* to whoever listens: logs, counters."""

    outcome: Outcome


@frozen
class Finish:
    """Nothing is left to do: close everything and end."""


# Effects: may take long, started on a lane


@frozen
class DropTransfer:
    """Remove what is stored of a transfer. Nobody waits for it."""

    transfer: TransferKey
    name: str


@frozen
class CommitFile:
    """Perform *plan*; ends in `PlanEnded`."""

    plan: Plan


@frozen
class RunAction:
    """
    Let the daemon read its files again; ends in `ActionFinished`.

    Attributes:
        id: Names the action; every commit up to this sequence is covered.
        action: Reload or renew.
        files: What it covers, oldest commit first.
        timeout: Seconds.
    """

    id: int
    action: ActionKind
    files: tuple[CommittedFile, ...]
    timeout: float


@frozen
class SaveJournal:
    """Make *entries* durable, in order; ends in `JournalSaved`."""

    id: int
    entries: tuple[Entry, ...]


@frozen
class CommitOffsets:
    """Tell the broker where we are, for lag tools; ends in `OffsetsCommitted`."""

    id: int
    offsets: Mapping[TopicPartition, int]


Effect = (
    AppendChunk
    | Assign
    | WakeAt
    | StopPolling
    | PollAgain
    | Report
    | Finish
    | DropTransfer
    | CommitFile
    | RunAction
    | SaveJournal
    | CommitOffsets
)
