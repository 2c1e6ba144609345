"""
The file-system calls that the runtime makes, each of them here and nowhere else.

Names are single path components, resolved from a directory descriptor, and
never through a symbolic link. Every descriptor is close-on-exec. What the
system refuses is raised as the `OSError` that it gave.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator

__all__ = ["Posix"]

_COPY_BYTES = 1 << 20
_NO_COPY_RANGE = {errno.ENOSYS, errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.EPERM}


class Posix:
    """One small interface, so that a test can stand in for the disk."""

    def open_root(self, path: str) -> int:
        """Open the directory *path*; only here links are followed: the operator wrote it."""
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def open_directory(self, name: str, at: int) -> int:
        """Open the directory *name* in *at*."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=at)

    def create(self, name: str, at: int) -> int:
        """Create the file *name* in *at*, which must not exist; mode 0600, read and write."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=at)

    def open_write(self, name: str, at: int, *, create: bool = False) -> int:
        """Open the file *name* in *at* to read and write."""
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        return os.open(name, flags, 0o600, dir_fd=at)

    def open_read(self, name: str, at: int) -> int:
        """Open the file *name* in *at* to read; a pipe in its place does not block."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, dir_fd=at)

    def duplicate(self, fd: int) -> int:
        """Return another descriptor of what *fd* has open."""
        return os.dup(fd)

    def close(self, fd: int) -> None:
        """Close *fd*."""
        os.close(fd)

    @contextlib.contextmanager
    def closing(self, fd: int) -> Iterator[int]:
        """Close *fd* at the end of the block."""
        try:
            yield fd
        finally:
            self.close(fd)

    def lock(self, fd: int) -> bool:
        """Take the exclusive lock of *fd*, held until it is closed; False: somebody else has it."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write_at(self, fd: int, data: bytes, position: int) -> None:
        """Write all of *data* at *position*."""
        view = memoryview(data)
        while view:
            written = os.pwrite(fd, view, position)
            view = view[written:]
            position += written

    def read_at(self, fd: int, size: int, position: int) -> bytes:
        """Read up to *size* bytes at *position*; fewer only at the end of the file."""
        pieces = []
        while size > 0:
            piece = os.pread(fd, min(size, _COPY_BYTES), position)
            if not piece:
                break
            pieces.append(piece)
            size -= len(piece)
            position += len(piece)
        return b"".join(pieces)

    def copy(self, source: int, target: int, size: int, position: int) -> None:
        """Copy the first *size* bytes of *source* to *position* in *target*, inside the kernel."""
        done = 0
        while done < size:
            try:
                copied = os.copy_file_range(source, target, size - done, done, position + done)
            except OSError as exc:
                if exc.errno not in _NO_COPY_RANGE:
                    raise
                data = self.read_at(source, min(_COPY_BYTES, size - done), done)
                self.write_at(target, data, position + done)
                copied = len(data)
            if not copied:
                raise OSError(errno.EIO, "a segment ended too early")
            done += copied

    def truncate(self, fd: int, size: int) -> None:
        """Cut *fd* to *size* bytes."""
        os.ftruncate(fd, size)

    def sync(self, fd: int) -> None:
        """Make bytes, metadata or directory entries of *fd* durable."""
        os.fsync(fd)

    def rename(self, name: str, at: int, new_name: str, new_at: int) -> None:
        """Give the file *name* in *at* another name, in place of whatever has that name."""
        os.rename(name, new_name, src_dir_fd=at, dst_dir_fd=new_at)

    def link(self, name: str, new_name: str, at: int) -> None:
        """Give the file *name* in *at* a second name there."""
        os.link(name, new_name, src_dir_fd=at, dst_dir_fd=at, follow_symlinks=False)

    def unlink(self, name: str, at: int) -> bool:
        """Remove the file *name* from *at*; False: there was none."""
        try:
            os.unlink(name, dir_fd=at)
        except FileNotFoundError:
            return False
        return True

    def make_directory(self, name: str, at: int, mode: int) -> bool:
        """Create the directory *name* in *at*; False: it was there."""
        try:
            os.mkdir(name, mode, dir_fd=at)
        except FileExistsError:
            return False
        return True

    def remove_directory(self, name: str, at: int) -> bool:
        """Remove the empty directory *name* from *at*; False: not there, or not empty."""
        try:
            os.rmdir(name, dir_fd=at)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        return True

    def list(self, fd: int) -> list[str]:
        """Return the names in the directory *fd*."""
        return os.listdir(fd)

    def stat(self, name: str, at: int) -> os.stat_result | None:
        """Look at *name* in *at*, without following a link; None: nothing there."""
        try:
            return os.stat(name, dir_fd=at, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def free_bytes(self, fd: int) -> int:
        """Return how much room users other than root have on the file system of *fd*."""
        found = os.fstatvfs(fd)
        return found.f_bavail * found.f_frsize

    def fstat(self, fd: int) -> os.stat_result:
        """Look at what *fd* has open."""
        return os.fstat(fd)

    def chown(self, fd: int, uid: int, gid: int) -> None:
        """Set owner and group; -1 leaves one alone."""
        os.fchown(fd, uid, gid)

    def chmod(self, fd: int, mode: int) -> None:
        """Set the permission bits."""
        os.fchmod(fd, mode)

    def set_time(self, fd: int, mtime: float) -> None:
        """Set the time of the last change, in seconds since 1970."""
        nanoseconds = int(mtime * 1e9)
        os.utime(fd, ns=(nanoseconds, nanoseconds))
