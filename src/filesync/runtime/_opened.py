"""A file that is sent: open, and whether it still is what it was."""

from __future__ import annotations

import contextlib
import os
import stat

from filesync.exceptions import PublishError

__all__ = ["Opened"]


class Opened:
    """
    An open file, as it was when it was opened.

    Args:
        path: Where it is.
        stack: Closes it.

    Raises:
        PublishError: It cannot be opened, or is none of which the size tells the content.
    """

    def __init__(self, path: str, stack: contextlib.ExitStack) -> None:
        self.path = path
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            stack.callback(os.close, self.fd)
            info = os.fstat(self.fd)
            if not stat.S_ISREG(info.st_mode):
                raise PublishError(f"{path}: it is no regular file")
            self.size = info.st_size
            sized = self.size > 0 or not os.pread(self.fd, 1, 0)
        except OSError as exc:
            raise PublishError(f"{path}: {exc.strerror}") from exc
        if not sized:
            raise PublishError(f"{path}: it has no size, but content; send a copy of it")
        self._stamp = info.st_size, info.st_mtime_ns
        self._inode_changed, self._links = info.st_ctime_ns, info.st_nlink

    @property
    def unchanged(self) -> bool:
        """Whether nobody has written to it."""
        now = os.fstat(self.fd)
        if (now.st_size, now.st_mtime_ns) != self._stamp:
            return False
        # Whoever sets the time of modification back cannot set this one. But links change it too:
        # a file that is replaced by renaming has one less.
        return now.st_nlink != self._links or now.st_ctime_ns == self._inode_changed

    def read(self, start: int, stop: int) -> bytes | None:
        """Return these bytes; None: it has become shorter."""
        parts = []
        while start < stop:
            part = os.pread(self.fd, stop - start, start)
            if not part:
                return None
            parts.append(part)
            start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)
