"""Committers at work, for the tests of what becomes visible, and when."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

from filesync._committer import Committer, Settled, Step
from filesync._effects import DropTransfer
from filesync._model import CommittedFile, Origin, TransferKey
from filesync._outcomes import Ending
from filesync._plan import Committed, Failed, Missing, NotCommitted
from filesync._transfer import Whole
from support.pieces import whole

__all__ = [
    "BROKEN",
    "INVALID",
    "LACKING",
    "TORN",
    "UNCHANGED",
    "dropped",
    "endings",
    "failed",
    "file_of",
    "start",
    "visible",
]

BROKEN = Failed(detail="read-only file system")
INVALID = NotCommitted(ending=Ending.INVALID, detail="line 3: no such option")
LACKING = Missing(detail="b.rpz")
#: Readers see the file, but nobody could write that down.
TORN = Failed(detail="input/output error", visible=True)
UNCHANGED = NotCommitted(ending=Ending.UNCHANGED)


def file_of(done: Whole) -> CommittedFile:
    """Return the version of a file that *done* becomes."""
    name, kind = done.target.name, done.target.kind
    digest = b"\0" * 32
    return CommittedFile(
        name=name, kind=kind, digest=digest, size=1, sequence=1, origin=done.origin
    )


def visible(done: Whole) -> Committed:
    """Return how a plan ends that makes *done* visible."""
    return Committed(file=file_of(done))


def start(committer: Committer, at: float = 0.0) -> dict[str, int]:
    """Start all that may start; return the plans by name, in order."""
    plans = {}
    while (turn := committer.next(at)) is not None:
        plans[turn.target.name] = committer.started(turn)
    return plans


def endings(steps: Iterable[Step]) -> list[tuple[TransferKey, Ending]]:
    """Return which transfers ended, and how."""
    return [(step.key, step.outcome.ending) for step in steps if isinstance(step, Settled)]


def dropped(steps: Iterable[Step]) -> list[TransferKey]:
    """Return of which transfers the bytes are removed."""
    return [step.transfer for step in steps if isinstance(step, DropTransfer)]


def failed(name: str, started: Origin, times: int = 1) -> tuple[Committer, Whole]:
    """Return a committer in which *name* waits to be tried again."""
    committer, done = Committer(holding=False), whole(name, started)
    committer.add(done)
    for _ in range(times):
        plan = start(committer, inf)[name]
        assert not endings(committer.ended(plan, BROKEN, 0.0))
    return committer, done
