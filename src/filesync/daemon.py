"""
The daemon whose files these are: what it must be able to do, and to answer.

Exit status 0 or HTTP 200 proves nothing on most DNS daemons. So an action
does not return "done": it returns what is *known*. Only `Served` is proof.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from filesync._lookup import not_installed
from filesync._model import ChangedFile
from filesync._values import frozen

__all__ = [
    "ActionKind",
    "ActionResult",
    "Assumed",
    "CheckFailed",
    "CheckPassed",
    "CheckResult",
    "CheckUnavailable",
    "Daemon",
    "Misconfigured",
    "Refused",
    "Served",
    "Unknown",
    "Unreachable",
    "open_daemon",
]


class ActionKind(enum.Enum):
    """What a daemon is asked to do; a reload covers a renew."""

    RENEW = "renew"
    RELOAD = "reload"

    @property
    def strength(self) -> int:
        """Larger covers smaller."""
        return 2 if self is ActionKind.RELOAD else 1


@frozen
class Served:
    """The daemon was asked, and it works with the new files: *proof* says how that was seen."""

    proof: str

    def __str__(self) -> str:
        return f"served ({self.proof})"


@frozen
class Assumed:
    """The daemon did not object, and there is no way to ask it."""

    why: str

    def __str__(self) -> str:
        return f"assumed ({self.why})"


@frozen
class Refused:
    """The daemon does not want these files. It keeps the old ones."""

    why: str

    def __str__(self) -> str:
        return f"refused: {self.why}"


@frozen
class Unknown:
    """Whether the daemon took the files cannot be told: a time-out, say."""

    why: str

    def __str__(self) -> str:
        return f"unknown: {self.why}"


@frozen
class Unreachable:
    """The daemon could not be asked; it may be possible later."""

    why: str

    def __str__(self) -> str:
        return f"unreachable: {self.why}"


@frozen
class Misconfigured:
    """Asking cannot work until the operator changes something: a missing program, say."""

    why: str

    def __str__(self) -> str:
        return f"misconfigured: {self.why}"


ActionResult = Served | Assumed | Refused | Unknown | Unreachable | Misconfigured


@frozen
class CheckPassed:
    """The staged file may become visible."""


@frozen
class CheckFailed:
    """
    The staged file is not acceptable.

    Attributes:
        why: What the checker printed.
        missing: Names of files that it refers to and that are not there
            (yet), as far as the checker could tell.
    """

    why: str
    missing: tuple[str, ...] = ()


@frozen
class CheckUnavailable:
    """The checker itself cannot run. Not the file's fault: try again later."""

    why: str


CheckResult = CheckPassed | CheckFailed | CheckUnavailable


class Daemon(Protocol):
    """
    A DNS daemon, or whatever else reads the files.

    `check`, `reload` and `renew` may take seconds; each is called on a lane,
    never by two threads at once. None raises for what the daemon did.
    """

    def check(self, staged: str, name: str) -> CheckResult:
        """Judge the configuration at path *staged*, which will be known as *name*."""

    def reload(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Make the daemon read its configuration, and its data, again."""

    def renew(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Make the daemon read its data files again."""

    def stop(self) -> None:
        """End what runs, soon, and start nothing any more. From any thread."""


def open_daemon(adapter: str, options: Mapping[str, Any], *, files_dir: str) -> Daemon:
    """
    Return the daemon that the installed packages know as *adapter*.

    Args:
        adapter: Name of an entry point in the group ``filesync.daemons``.
        options: The rest of the settings' ``daemon`` section.
        files_dir: Absolute path of files-dir.

    Raises:
        LookupError: No installed package has such an adapter.
        ValueError: The adapter does not understand *options*.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - drags in socket

    found = {point.name: point for point in entry_points(group="filesync.daemons")}
    if adapter not in found:
        raise LookupError(not_installed("daemon adapter", adapter, found))
    daemon: Daemon = found[adapter].load()(options, files_dir=files_dir)
    return daemon
