"""
One durable replacement of one file: what is known before, what is seen, what follows.

Theory. A complete transfer becomes a `Plan`. A lane performs it whole: it
joins the segments, looks at what is there (`Seen`), and asks `decide` once.
What comes back is either a verdict or the ordered steps of the replacement.
No other decision is made on a lane. The only commit point is `Replace`:
before it the old file is untouched, after it everything can be replayed.

*Unchanged* is decided against the journal: equal bytes on disk alone prove
nothing, since a crash between `Replace` and `Record` leaves just that, and
the need for a reload would be lost. And the journal alone proves nothing
either, since somebody may have removed or edited the file.

Source: docs/explanation/crash-safety.md.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

from filesync._model import Claims, CommittedFile, Kind, Origin, Target, TopicPartition, TransferKey
from filesync._outcomes import Ending
from filesync._values import frozen

__all__ = [
    "Backup",
    "Check",
    "Committed",
    "Existing",
    "Failed",
    "Missing",
    "NotCommitted",
    "Plan",
    "PlanResult",
    "RecordCommit",
    "Replace",
    "Seen",
    "Segment",
    "SetMetadata",
    "Shape",
    "Step",
    "Sync",
    "SyncDirectory",
    "decide",
]


@frozen
class Segment:
    """
    Chunks that follow each other, in one file on disk.

    Attributes:
        first: Index of its first chunk, from 0.
        size: In bytes.
    """

    first: int
    size: int


@frozen(kw_only=True)
class Plan:
    """
    Everything that is known about a replacement before it starts.

    Attributes:
        id: Names the plan in its completion event.
        target: The file.
        transfer: Where its segments are.
        segments: In the order of the file.
        claims: What the sender says about the whole.
        origin: Where the transfer started.
        known: The version that the journal says is there.
        positions: The safe positions once this plan has ended.
        epoch: The epoch that they belong to (`filesync._ledger`).
        owner, group: For a file that replaces none; None: those of files-dir.
        mode: For a file that replaces none.
    """

    id: int
    target: Target
    transfer: TransferKey
    segments: tuple[Segment, ...]
    claims: Claims
    origin: Origin
    known: CommittedFile | None
    positions: Mapping[TopicPartition, int]
    epoch: int
    owner: str | None = None
    group: str | None = None
    mode: int = 0o640

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return sum(segment.size for segment in self.segments)

    @property
    def checked(self) -> bool:
        """Whether the file is validated before it becomes visible."""
        return self.target.kind is Kind.CONFIG


class Shape(enum.Enum):
    """What stands at the destination."""

    FILE = "a regular file"
    SYMLINK = "a symbolic link"
    DIRECTORY = "a directory"
    OTHER = "neither a file nor a directory"


@frozen(kw_only=True)
class Existing:
    """
    What stands at the destination before the replacement.

    Attributes:
        shape: Only a regular file is ever replaced.
        digest: SHA-256; None unless it was worth reading: a regular file of
            the staged file's size.
        mtime: Seconds since 1970, rounded down.
        uid, gid, mode: Its owner, group and permission bits.
    """

    shape: Shape
    digest: bytes | None
    mtime: int
    uid: int
    gid: int
    mode: int


@frozen(kw_only=True)
class Seen:
    """
    What was found once the segments were joined.

    Attributes:
        digest: SHA-256 of the staged file.
        existing: What stands at the destination; None: nothing.
        now: Seconds since 1970.
    """

    digest: bytes
    existing: Existing | None
    now: float


@frozen(kw_only=True)
class SetMetadata:
    """
    Give the staged file its owner, mode and time.

    Attributes:
        uid, gid: Numbers; None: look up *owner* and *group*.
        owner, group: Names; None: those of files-dir.
        mode: Permission bits.
        mtime: Seconds since 1970, later than the replaced file's by a second
            or more: daemons compare whole seconds.
    """

    uid: int | None
    gid: int | None
    owner: str | None
    group: str | None
    mode: int
    mtime: float


@frozen
class Check:
    """Parse the staged file strictly, then let the daemon judge it."""


@frozen
class Sync:
    """Make the staged file's bytes and metadata durable."""


@frozen
class Backup:
    """Keep the destination as ``<file>.backup``; it never disappears meanwhile."""


@frozen
class Replace:
    """Rename the staged file over the destination: the only commit point."""


@frozen
class Adopt:
    """The destination has these bytes already: make them durable, whoever wrote them."""


@frozen
class SyncDirectory:
    """Make the renames durable."""


@frozen(kw_only=True)
class RecordCommit:
    """Append the commit, the positions and the need for an action to the journal."""

    digest: bytes
    size: int


Step = SetMetadata | Check | Sync | Backup | Replace | Adopt | SyncDirectory | RecordCommit


@frozen(kw_only=True)
class Committed:
    """The plan's file is what readers see, and the journal says so."""

    file: CommittedFile


@frozen(kw_only=True)
class NotCommitted:
    """The plan ended without a new file; the old one, if any, is untouched."""

    ending: Ending
    detail: str = ""


@frozen(kw_only=True)
class Failed:
    """
    The plan could not be carried through; it may be tried again.

    Attributes:
        detail: What happened.
        visible: Whether readers see the file already, and only the journal
            does not know it: then it must be tried again.
    """

    detail: str
    visible: bool = False


@frozen(kw_only=True)
class Missing:
    """
    The configuration refers to files that are not there; they may still come.

    Attributes:
        detail: What the check printed.
    """

    detail: str


PlanResult = Committed | NotCommitted | Failed | Missing


def decide(plan: Plan, seen: Seen) -> tuple[Step, ...] | NotCommitted:
    """Return the steps that make *plan*'s staged file visible, or why there are none."""
    refusal = _contradiction(plan, seen)
    if refusal is not None:
        return refusal
    existing = seen.existing
    on_disk = existing is not None and existing.digest == seen.digest
    in_journal = plan.known is not None and plan.known.digest == seen.digest
    if on_disk and in_journal:
        return NotCommitted(ending=Ending.UNCHANGED)
    checks = (Check(),) if plan.checked else ()
    record = RecordCommit(digest=seen.digest, size=plan.size)
    if on_disk:  # A crash came between the rename and its record, say.
        return (*checks, Adopt(), SyncDirectory(), record)
    backup = (Backup(),) if existing is not None else ()
    return (_metadata(plan, seen), Sync(), *checks, *backup, Replace(), SyncDirectory(), record)


def _contradiction(plan: Plan, seen: Seen) -> NotCommitted | None:
    claims, existing = plan.claims, seen.existing
    if claims.size is not None and claims.size != plan.size:
        return NotCommitted(
            ending=Ending.SIZE_MISMATCH,
            detail=f"the sender announced {claims.size} bytes, {plan.size} arrived; send it again",
        )
    if claims.digest is not None and claims.digest != seen.digest:
        return NotCommitted(
            ending=Ending.DIGEST_MISMATCH,
            detail=f"the sender announced SHA-256 {claims.digest.hex()}, "
            f"the joined chunks have {seen.digest.hex()}; send it again",
        )
    if existing is not None and existing.shape is not Shape.FILE:
        return NotCommitted(
            ending=Ending.REFUSED_NAME,
            detail=f"{existing.shape.value} stands in its place; remove it, and send it again",
        )
    return None


def _metadata(plan: Plan, seen: Seen) -> SetMetadata:
    old = seen.existing
    if old is None:
        return SetMetadata(
            uid=None, gid=None, owner=plan.owner, group=plan.group, mode=plan.mode, mtime=seen.now
        )
    return SetMetadata(
        uid=old.uid,
        gid=old.gid,
        owner=None,
        group=None,
        mode=old.mode,
        mtime=max(seen.now, float(old.mtime + 1)),
    )
