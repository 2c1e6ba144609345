"""
A real disk that notes what is asked of it, and a workshop for files on it.

`Disk` is `Posix` itself, so that what a test sees is what the system does: it
only writes down every call, refuses those that a test wants refused, and lets
a test step in after one. `Workshop` holds all that stands on a disk: lock,
journal, chunks, and the replacer.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

from attrs import define, field

from filesync import Kind, Limits, Origin, TopicPartition
from filesync._assembler import Assembler
from filesync._effects import AppendChunk
from filesync._model import ChangedFile, Chunk, Claims, Target
from filesync._plan import Plan, PlanResult
from filesync._transfer import Whole
from filesync.daemon import ActionResult, Assumed, CheckPassed, CheckResult
from filesync.runtime._journal import Journal
from filesync.runtime._posix import Posix
from filesync.runtime._replacer import Replacer
from filesync.runtime._root import Root
from filesync.runtime._spool import Digest, Spool

__all__ = [
    "CALLS",
    "IS_ROOT",
    "P0",
    "STRANGER",
    "Disk",
    "Judge",
    "Killed",
    "Workshop",
    "descriptors",
    "names_in",
]

#: Only root may give files away; others test with what is theirs.
IS_ROOT = os.geteuid() == 0
STRANGER = (1234, 2345) if IS_ROOT else (os.geteuid(), os.getegid())

P0 = TopicPartition("files", 0)

#: Every call that `Posix` makes.
CALLS = tuple(
    name
    for name, member in vars(Posix).items()
    if callable(member) and not name.startswith("_") and name != "closing"
)

_OPENS = {"open_root", "open_directory", "create", "open_write", "open_read", "duplicate"}


class Killed(BaseException):
    """The process is no more."""


@define
class _Refusal:
    call: str
    error: int
    skip: int
    times: float


class Disk(Posix):
    """
    The disk, with a witness.

    Attributes:
        calls: What was called, in order: the call, then what it was about, by
            name: ``rename a.rpz.tmp a.rpz``, ``sync a.rpz.tmp``; files-dir
            itself is ``.``.
        refused: How many calls were refused.
        after: Is told of each call once it has succeeded; what it raises is
            passed on.
        synced: Inodes of which an fsync was asked, in order.
        crash_after: The number of calls after which nothing happens any more,
            as if the process had been killed: each further one but a close
            raises `Killed`.
        hasty: Whether an fsync is only noted: no test cuts the power, and a
            test that asks for thousands would take long.
    """

    def __init__(self, *, hasty: bool = False) -> None:
        self.hasty = hasty
        self.calls: list[str] = []
        self.refused = 0
        self.after: Callable[[str], None] = lambda _: None
        self.synced: list[int] = []
        self.crash_after = inf
        self._labels: dict[int, str] = {}
        self._refusals: list[_Refusal] = []

    def refuse(self, call: str, error: int = errno.EIO, *, skip: int = 0, times: float = 1) -> None:
        """
        Refuse *call* with *error*, *times* times.

        Args:
            call: The start of an entry of `calls`: ``sync``, ``sync a.rpz.tmp``.
            error: An errno. What is written or copied is half done by then;
                a descriptor is closed nevertheless, as the system does it.
            skip: So many such calls succeed first.
            times: `inf` for as long as `allow` is not called.
        """
        self._refusals.append(_Refusal(call, error, skip, times))

    def refuse_always(self, call: str, error: int = errno.EIO) -> None:
        """Refuse *call* until `allow`."""
        self.refuse(call, error, times=inf)

    def allow(self) -> None:
        """Refuse nothing any more."""
        self._refusals.clear()

    def __getattribute__(self, name: str) -> Any:
        """Return the real call, watched."""
        found = super().__getattribute__(name)
        return partial(self._watched, name, found) if name in CALLS else found

    def _watched(self, name: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        if len(self.calls) >= self.crash_after and name != "close":
            raise Killed
        text = " ".join([name, *self._subjects(name, args)])
        self.calls.append(text)
        if name == "sync":
            self.synced.append(os.fstat(args[0]).st_ino)
        error = self._refusal(text)
        if error is not None:
            self.refused += 1
            _do_half(name, args)
            raise OSError(error, os.strerror(error))
        result: Any = None if name == "sync" and self.hasty else call(*args, **options)
        if name in _OPENS:
            self._labels[result] = self._label(name, args)
        self.after(text)
        return result

    def _refusal(self, text: str) -> int | None:
        for refusal in self._refusals:
            if text != refusal.call and not text.startswith(refusal.call + " "):
                continue
            if refusal.skip > 0:
                refusal.skip -= 1
            elif refusal.times > 0:
                refusal.times -= 1
                return refusal.error
        return None

    def _label(self, name: str, args: Sequence[Any]) -> str:
        if name == "open_root":
            return "."
        return self._labels[args[0]] if name == "duplicate" else str(args[0])

    def _subjects(self, name: str, args: Sequence[Any]) -> list[str]:
        """Return what a call is about: names, those behind descriptors too."""
        match name, args:
            case ("rename", [old, _, new, _]) | ("link", [old, new, _]):
                return [str(old), str(new)]
            case "copy", [source, target, *_]:
                return [self._labels[source], self._labels[target]]
            case _, [int(fd), *_]:
                return [self._labels.get(fd, str(fd))]
            case _, [subject, *_]:
                return [str(subject)]
            case _:
                return []


def _do_half(name: str, args: Sequence[Any]) -> None:
    match name, args:
        case "close", [fd]:
            os.close(fd)
        case "write_at", [fd, data, position]:
            os.pwrite(fd, data[: len(data) // 2], position)
        case "copy", [source, target, size, position]:
            os.pwrite(target, os.pread(source, size // 2, 0), position)
        case _:
            pass


@define
class Judge:
    """
    A daemon that says what a test wants.

    Attributes:
        answer: To every check.
        seen: The checks: the path, the name, and the bytes that were there.
        meanwhile: Happens while a check runs.
    """

    answer: CheckResult = field(factory=CheckPassed)
    seen: list[tuple[str, str, bytes]] = field(factory=list)
    meanwhile: Callable[[str], None] = lambda _: None

    def check(self, staged: str, name: str) -> CheckResult:
        """Note what is checked."""
        self.seen.append((staged, name, Path(staged).read_bytes()))
        self.meanwhile(staged)
        return self.answer

    def reload(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Do nothing."""
        return Assumed("this daemon does nothing")

    renew = reload

    def stop(self) -> None:
        """Nothing runs."""


class Workshop:
    """
    Everything below the engine, on one files-dir.

    Attributes:
        path: files-dir.
        disk: The calls.
        daemon: What judges configurations.
        now: Seconds since 1970, as the replacer is told.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.disk = Disk(hasty=True)
        self.daemon = Judge()
        self.now = 1_800_000_000.25
        self._offset = self._plans = 0
        self.open()

    def open(self) -> None:
        """Take files-dir, as a process does at its start, but for the sweep."""
        self.root = Root(str(self.path), self.disk)
        self.journal = Journal(self.root)
        self.spool = Spool(self.root, keep_free=1)
        self.replacer = Replacer(
            root=self.root,
            journal=self.journal,
            spool=self.spool,
            daemon=self.daemon,
            config_bytes=1 << 20,
            config_depth=50,
            wall=lambda: self.now,
        )

    def close(self) -> None:
        """Let go of files-dir."""
        self.spool.close()
        self.journal.close()
        self.root.close()

    def restart(self) -> None:
        """Close everything, and open it again as a new process would."""
        self.close()
        self.open()
        self.spool.sweep()

    def arrive(
        self,
        name: str,
        pieces: Sequence[bytes],
        *,
        order: Sequence[int] | None = None,
        claims: Claims | None = None,
    ) -> tuple[list[AppendChunk], Whole]:
        """Let the chunks of a file arrive in *order*; return what the assembler wants done."""
        assembler = Assembler(Limits())
        appends: list[AppendChunk] = []
        whole: list[Whole] = []
        kind = Kind.CONFIG if name.endswith((".yaml", ".json")) else Kind.DATA
        for index in range(len(pieces)) if order is None else order:
            self._offset += 1
            chunk = Chunk(
                name=name,
                index=index,
                count=len(pieces),
                data=pieces[index],
                origin=Origin(source=P0, offset=self._offset),
                claims=claims or Claims(),
            )
            for step in assembler.add(chunk, Target(name=name, kind=kind), at=0.0):
                if isinstance(step, AppendChunk):
                    appends.append(step)
                elif isinstance(step, Whole):
                    whole.append(step)
        assert len(whole) == 1
        return appends, whole[0]

    def plan(self, whole: Whole, **changes: Any) -> Plan:
        """Return the plan for a transfer that is whole."""
        self._plans += 1
        values: dict[str, Any] = {
            "id": self._plans,
            "target": whole.target,
            "transfer": whole.key,
            "segments": whole.segments,
            "claims": whole.claims,
            "origin": whole.origin,
            "known": self.journal.ledger.files.get(whole.target.name),
            "positions": {P0: self._offset + 1},
            "epoch": self.journal.ledger.epoch,
        }
        return Plan(**{**values, **changes})

    def store(
        self,
        name: str,
        pieces: Sequence[bytes],
        *,
        order: Sequence[int] | None = None,
        claims: Claims | None = None,
        **changes: Any,
    ) -> Plan:
        """Store the chunks of a file; return the plan that puts it in place."""
        appends, whole = self.arrive(name, pieces, order=order, claims=claims)
        for effect in appends:
            self.spool.append(effect)
        return self.plan(whole, **changes)

    def seal(self, plan: Plan) -> Digest:
        """Close the files of *plan*; return what was hashed of them."""
        return self.spool.seal(plan.transfer, plan.segments)

    def perform(self, plan: Plan) -> PlanResult:
        """Perform *plan*, for the first time or again."""
        return self.replacer.perform(plan, self.seal(plan))

    def put(self, name: str, *pieces: bytes, **changes: Any) -> PlanResult:
        """Store a file and put it in place."""
        return self.perform(self.store(name, pieces, **changes))


def descriptors(folder: Path) -> dict[int, str]:
    """Return what this process has open below *folder*."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:  # It listed the directory.
            continue
        if target.startswith(str(folder)):
            found[int(name)] = target
    return found


def names_in(folder: Path) -> list[str]:
    """Return every file and directory below *folder*, but for filesync's own directory."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if ".filesync" not in path.relative_to(folder).parts
    )
