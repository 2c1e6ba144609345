"""
How things ended. Every outcome is reported once; logs and counters hang on it.

Each has ``label``, a word for counters, and ``str()``, a line for people.
"""

from __future__ import annotations

import enum

from attrs import field

from filesync._model import Origin, TopicPartition
from filesync._values import frozen
from filesync.daemon import ActionKind, ActionResult, Assumed, Served

__all__ = [
    "ActionEnded",
    "CaughtUp",
    "CommitParked",
    "CommitRetried",
    "Ending",
    "FaultSeen",
    "HealthChanged",
    "Outcome",
    "RecordRefused",
    "SpoolRetried",
    "TransferEnded",
]


class Ending(enum.Enum):
    """How a transfer, or a record that opened none, ended."""

    COMMITTED = "committed"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"
    LATE_DUPLICATE = "late_duplicate"
    EXPIRED = "expired"
    HEAD_MISSING = "head_missing"
    DIGEST_MISMATCH = "digest_mismatch"
    SIZE_MISMATCH = "size_mismatch"
    AMBIGUOUS = "ambiguous"
    SPLIT_PARTITION = "split_partition"
    REFUSED_QUOTA = "refused_quota"
    REFUSED_NAME = "refused_name"
    REFUSED_POLICY = "refused_policy"
    INVALID = "invalid"
    QUARANTINED = "quarantined"
    MALFORMED = "malformed"


#: Changed files that are named in one line.
_NAMED = 5

#: Endings after which the sender's file is what readers see, or is older.
_FINE = frozenset({Ending.COMMITTED, Ending.UNCHANGED, Ending.SUPERSEDED, Ending.LATE_DUPLICATE})


@frozen(kw_only=True)
class TransferEnded:
    """
    A transfer ended, in exactly one way.

    Attributes:
        ending: How.
        name: The file, relative to files-dir.
        origin: Where in the log the transfer started.
        detail: What happened and what to do next; empty when all is well.
        size: Bytes of the file, 0 when it never was whole.
    """

    ending: Ending
    name: str
    origin: Origin
    detail: str = ""
    size: int = 0

    @property
    def label(self) -> str:
        """The word for counters."""
        return self.ending.value

    @property
    def fine(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.ending in _FINE

    def __str__(self) -> str:
        text = f"{self.name} from {self.origin}: {self.ending.value}"
        return f"{text}: {self.detail}" if self.detail else text


@frozen(kw_only=True)
class RecordRefused:
    """
    A record that was meant for this host could not be used.

    Attributes:
        ending: `Ending.MALFORMED`, or why the file it names is not wanted.
        source: Where it was read.
        offset: Its offset there.
        detail: What is wrong with it.
    """

    ending: Ending
    source: TopicPartition
    offset: int
    detail: str

    @property
    def label(self) -> str:
        """The word for counters."""
        return self.ending.value

    @property
    def fine(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.ending in _FINE

    def __str__(self) -> str:
        return f"record {self.source}@{self.offset}: {self.label}: {self.detail}"


@frozen(kw_only=True)
class ActionEnded:
    """
    A reload or renew ended.

    Attributes:
        action: Which.
        result: What the daemon answered; see `filesync.daemon`.
        files: Names of the files that it covered.
        retry_in: Seconds until it is tried again; None when it will not be.
    """

    action: ActionKind
    result: ActionResult
    files: tuple[str, ...]
    retry_in: float | None = None

    @property
    def label(self) -> str:
        """The word for counters."""
        return f"{self.action.value}_{type(self.result).__name__.lower()}"

    @property
    def fine(self) -> bool:
        """Whether nobody needs to look at it."""
        return isinstance(self.result, Served | Assumed)

    def __str__(self) -> str:
        some = ", ".join(self.files[:_NAMED])
        more = len(self.files) - _NAMED
        names = f"{some} and {more} more" if more > 0 else some
        text = f"{self.action.value} of {names}: {self.result}"
        if self.fine:
            return text
        if self.retry_in is None:
            return f"{text}; not tried again until a file changes"
        return f"{text}; tried again in {self.retry_in:g} s"


@frozen(kw_only=True)
class CommitParked:
    """A configuration refers to files that are not there; it is checked again when some came."""

    name: str
    origin: Origin
    detail: str
    patience: float
    label: str = field(default="commit_parked", init=False)
    fine: bool = field(default=False, init=False)

    def __str__(self) -> str:
        return (
            f"{self.name} from {self.origin}: files that it names are missing: {self.detail}; "
            f"waiting {self.patience:g} s for them"
        )


@frozen(kw_only=True)
class CommitRetried:
    """A complete file could not be put in place yet; nothing is lost."""

    name: str
    origin: Origin
    detail: str
    retry_in: float
    label: str = field(default="commit_retried", init=False)
    fine: bool = field(default=False, init=False)

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}; tried again in {self.retry_in:g} s"


@frozen(kw_only=True)
class SpoolRetried:
    """Chunks could not be written; reading stops until they can be."""

    name: str
    detail: str
    retry_in: float
    label: str = field(default="spool_retried", init=False)
    fine: bool = field(default=False, init=False)

    def __str__(self) -> str:
        return (
            f"{self.name}: chunks cannot be stored: {self.detail}; "
            f"reading waits, tried again in {self.retry_in:g} s"
        )


@frozen(kw_only=True)
class FaultSeen:
    """The transport met something that was not a record; *label* counts it."""

    label: str
    detail: str
    fine: bool = False

    def __str__(self) -> str:
        return self.detail


@frozen(kw_only=True)
class HealthChanged:
    """The way to the broker works, or no longer works, and why."""

    up: bool
    detail: str
    label: str = field(default="health_changed", init=False)

    @property
    def fine(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.up

    def __str__(self) -> str:
        return self.detail


@frozen(kw_only=True)
class CaughtUp:
    """Everything that was in the log at start is on disk: the host is ready."""

    files: int
    label: str = field(default="caught_up", init=False)
    fine: bool = field(default=True, init=False)

    def __str__(self) -> str:
        return f"caught up with the log; {self.files} file(s) known"


Outcome = (
    TransferEnded
    | RecordRefused
    | ActionEnded
    | CommitParked
    | CommitRetried
    | SpoolRetried
    | FaultSeen
    | HealthChanged
    | CaughtUp
)
