"""
files-dir: opened once, locked, and the only place from which names are resolved.

A relative name is walked part by part from one directory descriptor, never
through a symbolic link, so that nothing outside files-dir can be reached
whatever is renamed meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from filesync._names import OWN_DIRECTORY
from filesync.exceptions import FilesDirError, FilesInUseError
from filesync.runtime._posix import Posix

__all__ = ["BAD_PLACES", "CHUNKS", "NEW_BACKUP", "STAGED", "Root"]

#: What the system says when the place of a file is the trouble, so that waiting
#: would not help and other files are not concerned.
BAD_PLACES = {
    errno.EACCES: "this user has no right to write there; grant it",
    errno.EBUSY: "a file system is mounted on it; remove that",
    errno.EISDIR: "a directory stands in its place; remove that",
    errno.ELOOP: "part of its path is a symbolic link; remove that",
    errno.ENAMETOOLONG: "its name is too long for this file system",
    errno.ENOTDIR: "part of its path is a symbolic link, or no directory; remove that",
    errno.EPERM: "this user may not write there; grant it",
}

STAGED = ".tmp"
CHUNKS = ".chunks"
NEW_BACKUP = ".backup.tmp"


class Root:
    """
    An open and locked files-dir.

    Args:
        path: Absolute path.
        posix: The file-system calls.

    Raises:
        FilesInUseError: Another process has it.
        FilesDirError: It cannot be used; the message says why.
    """

    def __init__(self, path: str, posix: Posix) -> None:
        self.path = path.rstrip("/") or "/"
        self.posix = posix
        with contextlib.ExitStack() as undo:
            try:
                self.fd = posix.open_root(path)
                undo.callback(posix.close, self.fd)
                posix.make_directory(OWN_DIRECTORY, self.fd, 0o700)
                self.own = posix.open_directory(OWN_DIRECTORY, self.fd)
                undo.callback(posix.close, self.own)
                self._lock = posix.open_write("lock", self.own, create=True)
                undo.callback(posix.close, self._lock)
                locked = posix.lock(self._lock)
                self.info = posix.fstat(self.fd)
                posix.sync(self.fd)
            except OSError as exc:
                raise FilesDirError(_advice(path, exc)) from exc
            if not locked:
                raise FilesInUseError(
                    f"files-dir {path} is in use by another filesync; "
                    "stop that one, or give each its own files-dir"
                )
            undo.pop_all()

    def close(self) -> None:
        """Release the lock and every descriptor. Closing twice is fine."""
        fds = self._lock, self.own, self.fd
        # Whoever comes too late must not meet a stranger's file behind the number.
        self._lock = self.own = self.fd = -1
        for fd in fds:
            if fd >= 0:
                self.posix.close(fd)

    def absolute(self, name: str) -> str:
        """Return the absolute path of the relative *name*."""
        return os.path.join(self.path, name)

    @contextlib.contextmanager
    def parent(self, name: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """
        Yield a descriptor of the directory that *name* is in, and its last part.

        Missing directories are created, with files-dir's mode and owner, if
        *create*.

        Raises:
            OSError: A part is missing, or no directory (a symbolic link, say).
        """
        *parts, last = name.split("/")
        fd = self.posix.duplicate(self.fd)
        try:
            for part in parts:
                if create and self.posix.make_directory(part, fd, 0o700):
                    self._adopt(part, fd)
                outer, fd = fd, self.posix.open_directory(part, fd)
                self.posix.close(outer)
            yield fd, last
        finally:
            self.posix.close(fd)

    def _adopt(self, name: str, at: int) -> None:
        """Give a directory that we made files-dir's owner and mode, and make it durable."""
        try:
            with self.posix.closing(self.posix.open_directory(name, at)) as fd:
                with contextlib.suppress(PermissionError):  # Only root may give files away.
                    self.posix.chown(fd, self.info.st_uid, self.info.st_gid)
                self.posix.chmod(fd, self.info.st_mode & 0o777)
            self.posix.sync(at)
        except OSError:
            # It would be taken for an old one, and stay half made.
            with contextlib.suppress(OSError):
                self.posix.remove_directory(name, at)
            raise


def _advice(path: str, exc: OSError) -> str:
    what = exc.strerror or str(exc)
    match exc:
        case FileNotFoundError():
            advice = "create it, or correct kafka.files-dir"
        case NotADirectoryError():
            advice = "kafka.files-dir must name a directory"
        case PermissionError():
            advice = "give the user that filesync runs as the right to write there"
        case _:
            advice = "it must be a directory that filesync can write to"
    return f"files-dir {path} cannot be used: {what}; {advice}"
