"""
Performs a plan, whole: segments become the staged file, and that the visible one.

Nothing is decided here but by `filesync._plan.decide`; what the system refuses
becomes a result. The order of the calls is the order of commit: see
docs/explanation/crash-safety.md.

A plan may be performed again after `Failed`. What an earlier try reached is
remembered: joined segments are not joined twice, a file that is visible is
not replaced twice, and a file whose fsync failed is copied to a new inode,
because a second fsync of the same one may report a success that is none.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import stat
import threading
from collections.abc import Callable, Iterator

from attrs import define

from filesync import _plan
from filesync._model import TransferKey
from filesync._outcomes import Ending
from filesync._plan import (
    Existing,
    NotCommitted,
    Plan,
    PlanResult,
    Seen,
    SetMetadata,
    Shape,
    decide,
)
from filesync._validation import check_configuration
from filesync.daemon import CheckFailed, CheckPassed, CheckUnavailable, Daemon
from filesync.exceptions import InvalidConfigurationError
from filesync.runtime._journal import Journal
from filesync.runtime._root import BAD_PLACES, CHUNKS, NEW_BACKUP, STAGED, Root
from filesync.runtime._spool import Digest, Spool, segment_name

__all__ = ["Replacer"]

_BACKUP = ".backup"
_READ_BYTES = 1 << 20

#: A hard link is refused: the backup is a copy then.
_NO_LINK = {errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS}


class _Refused(Exception):  # noqa: N818 - an answer, not an error.
    """A step says that the file must not become visible."""

    def __init__(self, ending: Ending, detail: str) -> None:
        super().__init__(detail)
        self.ending = ending


class _Lacking(Exception):  # noqa: N818 - an answer, not an error.
    """The file refers to others that are not there."""


class _NotNow(Exception):  # noqa: N818 - an answer, not an error.
    """A step cannot be done at the moment; it is not the file's fault."""


@define
class _Progress:
    """How far earlier tries of a plan came."""

    digest: bytes | None = None
    poisoned: bool = False
    visible: bool = False


class Replacer:
    """
    Performs plans in one files-dir; its methods may be called from any lane.

    Args:
        root: The open files-dir.
        journal: Where commits are recorded.
        spool: Where segments are.
        daemon: Judges configurations.
        config_bytes, config_depth: Limits of the strict parse.
        wall: Returns seconds since 1970.
    """

    def __init__(
        self,
        *,
        root: Root,
        journal: Journal,
        spool: Spool,
        daemon: Daemon,
        config_bytes: int,
        config_depth: int,
        wall: Callable[[], float],
    ) -> None:
        self._root = root
        self._posix = root.posix
        self._journal = journal
        self._spool = spool
        self._daemon = daemon
        self._config_bytes = config_bytes
        self._config_depth = config_depth
        self._wall = wall
        self._mutex = threading.Lock()
        self._progress: dict[TransferKey, _Progress] = {}

    def perform(self, plan: Plan, hashed: Digest) -> PlanResult:
        """Carry *plan* through; *hashed* is the digest of what was appended in order."""
        with self._mutex:
            progress = self._progress.setdefault(plan.transfer, _Progress())
        try:
            result = self._perform(plan, hashed, progress)
        except _NotNow as exc:
            return _plan.Failed(detail=str(exc), visible=progress.visible)
        except _Lacking as exc:
            return _plan.Missing(detail=str(exc))
        except OSError as exc:
            if progress.visible or exc.errno not in BAD_PLACES:
                return _plan.Failed(detail=exc.strerror or str(exc), visible=progress.visible)
            detail = f"{BAD_PLACES[exc.errno]}, then send the file again"
            result = NotCommitted(ending=Ending.REFUSED_NAME, detail=detail)
        with self._mutex:
            self._progress.pop(plan.transfer, None)
        with contextlib.suppress(OSError):  # Swept at the next start, then.
            self._clean_up(plan)
        return result

    def is_visible(self, transfer: TransferKey) -> bool:
        """Whether readers see the file of *transfer*, which is not recorded yet."""
        with self._mutex:
            progress = self._progress.get(transfer)
            return progress is not None and progress.visible

    def forget(self, transfer: TransferKey) -> None:
        """No plan of *transfer* is performed again."""
        with self._mutex:
            self._progress.pop(transfer, None)

    def _perform(self, plan: Plan, hashed: Digest, progress: _Progress) -> PlanResult:
        with self._root.parent(plan.target.name) as (parent, name):
            if progress.visible:
                steps: tuple[_plan.Step, ...] = (
                    _plan.SyncDirectory(),
                    _plan.RecordCommit(digest=progress.digest or b"", size=plan.size),
                )
            else:
                digest = self._stage(plan, hashed, progress, parent, name)
                seen = Seen(
                    digest=digest, existing=self._look(parent, name, plan.size), now=self._wall()
                )
                decided = decide(plan, seen)
                if isinstance(decided, NotCommitted):
                    return decided
                steps = decided
            try:
                return self._follow(plan, steps, progress, parent, name)
            except _Refused as exc:
                return NotCommitted(ending=exc.ending, detail=str(exc))

    def _follow(
        self,
        plan: Plan,
        steps: tuple[_plan.Step, ...],
        progress: _Progress,
        parent: int,
        name: str,
    ) -> PlanResult:
        posix = self._posix
        for step in steps:
            match step:
                case SetMetadata():
                    with posix.closing(posix.open_write(name + STAGED, parent)) as fd:
                        self._set_metadata(fd, step)
                case _plan.Sync():
                    with posix.closing(posix.open_write(name + STAGED, parent)) as fd:
                        progress.poisoned = True
                        posix.sync(fd)
                        progress.poisoned = False
                case _plan.Check():
                    self._check(plan, parent, name)
                case _plan.Backup():
                    self._back_up(parent, name)
                case _plan.Replace():
                    posix.rename(name + STAGED, parent, name, parent)
                    progress.visible = True
                case _plan.Adopt():
                    with posix.closing(posix.open_read(name, parent)) as fd:
                        posix.sync(fd)
                    progress.visible = True
                case _plan.SyncDirectory():
                    posix.sync(parent)
                case _plan.RecordCommit(digest=digest, size=size):
                    return _plan.Committed(file=self._journal.commit(plan, digest, size))
        raise AssertionError(f"{steps} do not end in RecordCommit")

    # Staging

    def _stage(
        self, plan: Plan, hashed: Digest, progress: _Progress, parent: int, name: str
    ) -> bytes:
        """Join the segments to ``<file>.tmp``; return its SHA-256."""
        if progress.digest is not None:
            if progress.poisoned:
                self._copy_staged(plan, progress.digest, parent, name)
                progress.poisoned = False
            return progress.digest
        posix = self._posix
        first, *others = plan.segments
        with (
            self._segments(plan, parent, name) as inner,
            posix.closing(posix.open_write(segment_name(first.first), inner)) as target,
        ):
            self._expect(target, first)
            posix.truncate(target, first.size)
            if hashed.size != first.size:
                hashed = Digest(hashlib.sha256(), 0)
                self._hash(target, first.size, hashed)
            sha256 = hashed.sha256.copy()  # A later try starts from it again.
            position = first.size
            for segment in others:
                source = posix.open_read(segment_name(segment.first), inner)
                with posix.closing(source):
                    self._expect(source, segment)
                    self._hash(source, segment.size, Digest(sha256, 0))
                    posix.copy(source, target, segment.size, position)
                position += segment.size
            posix.unlink(name + STAGED, parent)
            posix.rename(segment_name(first.first), inner, name + STAGED, parent)
            progress.digest = sha256.digest()
        return progress.digest

    @contextlib.contextmanager
    def _segments(self, plan: Plan, parent: int, name: str) -> Iterator[int]:
        """Open the directory of the transfer."""
        posix = self._posix
        with (
            posix.closing(posix.open_directory(name + CHUNKS, parent)) as chunks,
            posix.closing(posix.open_directory(str(plan.transfer), chunks)) as inner,
        ):
            yield inner

    def _expect(self, fd: int, segment: _plan.Segment) -> None:
        if self._posix.fstat(fd).st_size < segment.size:
            raise _NotNow(f"chunks from {segment.first + 1} on are not stored yet")

    def _hash(self, fd: int, size: int, digest: Digest) -> None:
        while digest.size < size:
            data = self._posix.read_at(fd, min(_READ_BYTES, size - digest.size), digest.size)
            if not data:
                raise OSError(errno.EIO, "a file ended too early")
            digest.sha256.update(data)
            digest.size += len(data)

    def _copy_staged(self, plan: Plan, digest: bytes, parent: int, name: str) -> None:
        """Put a copy in the staged file's place; until it is whole, that stays."""
        posix, copy = self._posix, segment_name(plan.segments[0].first)
        with (
            self._segments(plan, parent, name) as inner,
            posix.closing(posix.open_read(name + STAGED, parent)) as source,
        ):
            size = posix.fstat(source).st_size
            posix.unlink(copy, inner)
            with posix.closing(posix.create(copy, inner)) as target:
                posix.copy(source, target, size, 0)
                copied = Digest(hashlib.sha256(), 0)
                self._hash(target, size, copied)
            if copied.sha256.digest() != digest:
                raise OSError(errno.EIO, "the staged file reads back other bytes than were written")
            posix.rename(copy, inner, name + STAGED, parent)

    def _look(self, parent: int, name: str, size: int) -> Existing | None:
        found = self._posix.stat(name, parent)
        if found is None:
            return None
        shape = Shape.OTHER
        for test, candidate in (
            (stat.S_ISREG, Shape.FILE),
            (stat.S_ISLNK, Shape.SYMLINK),
            (stat.S_ISDIR, Shape.DIRECTORY),
        ):
            if test(found.st_mode):
                shape = candidate
        digest = None
        if shape is Shape.FILE and found.st_size == size:
            with self._posix.closing(self._posix.open_read(name, parent)) as fd:
                read = Digest(hashlib.sha256(), 0)
                self._hash(fd, size, read)
                digest = read.sha256.digest()
        return Existing(
            shape=shape,
            digest=digest,
            mtime=int(found.st_mtime),
            uid=found.st_uid,
            gid=found.st_gid,
            mode=stat.S_IMODE(found.st_mode),
        )

    # Steps

    def _set_metadata(self, fd: int, step: SetMetadata) -> None:
        posix, root = self._posix, self._root.info
        uid = _owner(step.owner, root.st_uid) if step.uid is None else step.uid
        gid = _group(step.group, root.st_gid) if step.gid is None else step.gid
        have = posix.fstat(fd)
        if gid != have.st_gid:
            try:
                posix.chown(fd, -1, gid)
            except PermissionError as exc:
                raise _NotNow(
                    f"its group cannot be {gid}: run filesync as root or as a member of that group"
                ) from exc
        if uid != have.st_uid:
            # Only root may give a file away; with its group, readers can read it.
            with contextlib.suppress(PermissionError):
                posix.chown(fd, uid, -1)
        posix.chmod(fd, step.mode)
        posix.set_time(fd, step.mtime)

    def _check(self, plan: Plan, parent: int, name: str) -> None:
        posix, staged = self._posix, name + STAGED
        with posix.closing(posix.open_read(staged, parent)) as fd:
            before = posix.fstat(fd)
            data = posix.read_at(fd, self._config_bytes + 1, 0)
            try:
                check_configuration(
                    plan.target.name,
                    data,
                    max_bytes=self._config_bytes,
                    max_depth=self._config_depth,
                )
            except InvalidConfigurationError as exc:
                raise _Refused(Ending.INVALID, f"{exc}; the old file stays") from exc
            del data
            path = self._root.absolute(plan.target.name) + STAGED
            match self._daemon.check(path, plan.target.name):
                case CheckFailed(why=why, missing=missing) if missing:
                    raise _Lacking(f"{', '.join(missing)} ({why})")
                case CheckFailed(why=why):
                    raise _Refused(Ending.INVALID, f"{why}; the old file stays")
                case CheckUnavailable(why=why):
                    raise _NotNow(f"it cannot be checked: {why}")
                case CheckPassed():
                    pass
            after = posix.stat(staged, parent)
            if after is None or _fingerprint(before) != _fingerprint(after):
                raise _Refused(
                    Ending.INVALID,
                    "the staged file was changed while it was checked; the old file stays",
                )

    def _back_up(self, parent: int, name: str) -> None:
        posix = self._posix
        posix.unlink(name + NEW_BACKUP, parent)
        try:
            posix.link(name, name + NEW_BACKUP, parent)
        except OSError as exc:
            if exc.errno not in _NO_LINK:
                raise
            self._copy_backup(parent, name)
        # If both are the same inode already this does nothing; `_clean_up` does the rest.
        posix.rename(name + NEW_BACKUP, parent, name + _BACKUP, parent)

    def _copy_backup(self, parent: int, name: str) -> None:
        posix = self._posix
        with (
            posix.closing(posix.open_read(name, parent)) as source,
            posix.closing(posix.create(name + NEW_BACKUP, parent)) as target,
        ):
            info = posix.fstat(source)
            posix.copy(source, target, info.st_size, 0)
            with contextlib.suppress(PermissionError):
                posix.chown(target, info.st_uid, info.st_gid)
            posix.chmod(target, stat.S_IMODE(info.st_mode))
            posix.set_time(target, info.st_mtime)
            posix.sync(target)

    def _clean_up(self, plan: Plan) -> None:
        """Remove what the plan leaves behind, whatever became of it."""
        with self._root.parent(plan.target.name) as (parent, name):
            for suffix in (NEW_BACKUP, STAGED):
                with contextlib.suppress(IsADirectoryError):  # It is not ours.
                    self._posix.unlink(name + suffix, parent)
        self._spool.remove(plan.transfer, plan.target.name)


def _fingerprint(info: os.stat_result) -> tuple[int, int, int, int]:
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns


def _owner(name: str | None, default: int) -> int:
    try:
        return default if name is None else pwd.getpwnam(name).pw_uid
    except KeyError:
        raise _NotNow(f"filesync.file-owner: there is no user {name!r}") from None


def _group(name: str | None, default: int) -> int:
    try:
        return default if name is None else grp.getgrnam(name).gr_gid
    except KeyError:
        raise _NotNow(f"filesync.file-group: there is no group {name!r}") from None
