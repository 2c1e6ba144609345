"""
The journal's bytes: ``.filesync/journal``, appended, synced, compacted.

What an entry means is decided in `filesync._ledger`. Here it is made durable:
an append is one write and one fsync. After any failure the file is suspect,
because a torn line may stand at its end and because a failed fsync must not
be tried again on the same file: the next append writes a new file first.
"""

from __future__ import annotations

import threading

from filesync._ledger import (
    Entry,
    FileCommitted,
    Ledger,
    decode,
    encode,
    replay,
    snapshot,
)
from filesync._model import CommittedFile
from filesync._plan import Plan
from filesync.exceptions import JournalError
from filesync.runtime._root import Root

__all__ = ["Journal"]

_NAME = "journal"
_NEW_NAME = "journal.new"

#: The file is rewritten when it is this long, and twice what it needs to be.
_COMPACT_BYTES = 256 * 1024
_MAX_BYTES = 1 << 30


class Journal:
    """
    The journal of an open files-dir. Its methods may be called from any thread.

    Raises:
        JournalError: It cannot be read, or a newer filesync wrote it.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._posix = root.posix
        self._mutex = threading.Lock()
        self._suspect = False
        try:
            self._fd = self._posix.open_write(_NAME, root.own, create=True)
            try:
                data = self._posix.read_at(self._fd, _MAX_BYTES, 0)
                entries, self._size = decode(data)
                if self._size < len(data):
                    self._posix.truncate(self._fd, self._size)
                self._posix.sync(root.own)
            except BaseException:
                self._posix.close(self._fd)
                raise
        except OSError as exc:
            path = root.absolute(f".filesync/{_NAME}")
            raise JournalError(f"{path} cannot be used: {exc.strerror or exc}") from exc
        self._ledger = Ledger()
        for entry in entries:
            self._ledger = replay(self._ledger, entry)
        self._least = len(self._needed())

    @property
    def ledger(self) -> Ledger:
        """What is durable."""
        return self._ledger

    def append(self, entries: tuple[Entry, ...]) -> None:
        """
        Make *entries* durable, in order.

        Raises:
            OSError: They are not; another call may succeed.
        """
        with self._mutex:
            self._append(entries)

    def commit(self, plan: Plan, digest: bytes, size: int) -> CommittedFile:
        """
        Make the commit of *plan* durable, with its positions; return it.

        Its sequence is given here, so that it tells in which order commits
        became durable.

        Raises:
            OSError: It is not durable; another call may succeed.
        """
        with self._mutex:
            file = CommittedFile(
                name=plan.target.name,
                kind=plan.target.kind,
                digest=digest,
                size=size,
                sequence=self._ledger.sequence + 1,
                origin=plan.origin,
            )
            entry = FileCommitted(file=file, positions=plan.positions, epoch=plan.epoch)
            self._append((entry,))
            return self._ledger.files[file.name]

    def close(self) -> None:
        """Close the file. Closing twice is fine."""
        # Whoever appends too late must not meet a stranger's file behind the number.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._posix.close(fd)

    def _append(self, entries: tuple[Entry, ...]) -> None:
        if self._suspect or (self._size > _COMPACT_BYTES and self._size > 2 * self._least):
            self._rewrite()
        ledger = self._ledger
        for entry in entries:
            ledger = replay(ledger, entry)
        data = b"".join(map(encode, entries))
        self._suspect = True
        self._posix.write_at(self._fd, data, self._size)
        self._posix.sync(self._fd)
        self._suspect = False
        self._size += len(data)
        self._ledger = ledger

    def _needed(self) -> bytes:
        """Return the shortest file that says the same."""
        return b"".join(map(encode, snapshot(self._ledger)))

    def _rewrite(self) -> None:
        """Write what the ledger needs to a new file, and put it in place of the old."""
        posix, own = self._posix, self._root.own
        data = self._needed()
        posix.unlink(_NEW_NAME, own)
        fd = posix.create(_NEW_NAME, own)
        try:
            posix.write_at(fd, data, 0)
            posix.sync(fd)
            posix.rename(_NEW_NAME, own, _NAME, own)
            posix.sync(own)
        except OSError:
            posix.close(fd)
            self._suspect = True
            raise
        old, self._fd = self._fd, fd
        self._size = self._least = len(data)
        self._suspect = False
        posix.close(old)
