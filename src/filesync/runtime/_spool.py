"""
Where chunks wait: ``<file>.chunks/<transfer>/<first chunk of a segment, from 1>``.

Appending is done inline, by the thread that polls: it takes microseconds, and
while the disk is slow nothing more is polled. A segment holds exactly the
bytes that were acknowledged: a chunk goes behind them or it fails.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

from attrs import define

from filesync._effects import AppendChunk
from filesync._model import TransferKey
from filesync._plan import Segment
from filesync.exceptions import FilesDirError
from filesync.runtime._posix import Posix
from filesync.runtime._root import CHUNKS, NEW_BACKUP, STAGED, Root

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["Digest", "Spool", "segment_name"]

#: Segments that are kept open.
_OPEN_FILES = 64

#: How often a directory that another thread just removed is made again.
_TRIES = 10


def segment_name(first: int) -> str:
    """Return the file name of the segment whose first chunk is *first*, from 0."""
    return str(first + 1)


@define
class Digest:
    """SHA-256 of the first *size* bytes of a transfer's first segment."""

    sha256: _Hash
    size: int


class Spool:
    """
    The stored chunks. `append` and `seal` belong to one thread, the rest to lanes.

    Args:
        root: The open files-dir.
        keep_free: Bytes that chunks never take from the file system.
    """

    def __init__(self, root: Root, keep_free: int = 0) -> None:
        self._root = root
        self._keep_free = keep_free
        self._posix: Posix = root.posix
        self._open: OrderedDict[tuple[TransferKey, int], int] = OrderedDict()
        self._digests: dict[TransferKey, Digest] = {}

    def append(self, effect: AppendChunk) -> None:
        """
        Store a chunk.

        Raises:
            OSError: It is not stored; the same call may be made again.
        """
        if self._keep_free and self._posix.free_bytes(self._root.fd) < self._keep_free:
            raise OSError(errno.ENOSPC, "less is free than limits.free-space-bytes")
        place = effect.transfer, effect.segment
        fd = self._open.get(place)
        if not effect.data:
            if fd is None:  # It is not kept: who comes next cuts off a longer past.
                self._posix.close(self._open_segment(effect))
            return
        if fd is None:
            fd = self._open_segment(effect)
            self._open[place] = fd
            if len(self._open) > _OPEN_FILES:
                _, oldest = self._open.popitem(last=False)
                self._posix.close(oldest)
        else:
            self._open.move_to_end(place)
        try:
            self._posix.write_at(fd, effect.data, effect.position)
        except OSError:
            # What was written of it must not count as stored.
            self._posix.close(self._open.pop(place))
            raise
        if effect.segment == 0:
            digest = self._digests.setdefault(effect.transfer, Digest(hashlib.sha256(), 0))
            if digest.size == effect.position:
                digest.sha256.update(effect.data)
                digest.size += len(effect.data)

    def seal(self, transfer: TransferKey, segments: tuple[Segment, ...]) -> Digest:
        """*transfer* is whole: close its files, and hand over what was hashed."""
        for segment in segments:
            self._close(transfer, segment.first)
        return self._digests.pop(transfer, None) or Digest(hashlib.sha256(), 0)

    def forget(self, transfer: TransferKey) -> None:
        """*transfer* is dropped: close its files."""
        self._digests.pop(transfer, None)
        for _, first in [place for place in self._open if place[0] == transfer]:
            self._close(transfer, first)

    def close(self) -> None:
        """Close everything."""
        while self._open:
            _, fd = self._open.popitem()
            self._posix.close(fd)

    def remove(self, transfer: TransferKey, name: str) -> None:
        """Remove what is stored of *transfer*, a version of *name*; gone already is fine."""
        posix = self._posix
        try:
            with self._root.parent(name) as (parent, last):
                chunks = posix.open_directory(last + CHUNKS, parent)
                with posix.closing(chunks):
                    self._remove_transfer(chunks, str(transfer))
                posix.remove_directory(last + CHUNKS, parent)
        except FileNotFoundError:
            return

    def sweep(self) -> None:
        """
        Remove what an earlier process left behind.

        Only directories named ``<file>.chunks`` that hold nothing but what
        `append` makes, and what a plan stages beside each. Kafka has it all.

        Raises:
            FilesDirError: Something cannot be removed.
        """
        try:
            self._sweep(self._root.fd)
        except OSError as exc:
            raise FilesDirError(
                f"files-dir {self._root.path} cannot be cleared of what an earlier run left: "
                f"{exc.strerror or exc}; remove its .chunks directories, or let filesync do so"
            ) from exc

    def _sweep(self, directory: int) -> None:
        posix = self._posix
        for name in posix.list(directory):
            try:
                inner = posix.open_directory(name, directory)
            except OSError:  # A file, a link, or not ours to read.
                continue
            with posix.closing(inner):
                if not name.endswith(CHUNKS):
                    self._sweep(inner)
                    continue
                transfers = self._leftovers(inner)
                if transfers is None:
                    continue
                for transfer in transfers:
                    self._remove_transfer(inner, transfer)
                if transfers:
                    for suffix in (STAGED, NEW_BACKUP):
                        with contextlib.suppress(IsADirectoryError):  # It is not ours.
                            posix.unlink(name.removesuffix(CHUNKS) + suffix, directory)
            posix.remove_directory(name, directory)

    def _leftovers(self, chunks: int) -> list[str] | None:
        """Return the transfers in a directory; None: somebody else uses it."""
        posix = self._posix
        transfers = posix.list(chunks)
        for transfer in transfers:
            if not _is_transfer(transfer):
                return None
            try:
                inner = posix.open_directory(transfer, chunks)
            except OSError:  # As above.
                return None
            with posix.closing(inner):
                if not all(map(str.isdecimal, posix.list(inner))):
                    return None
        return transfers

    def _remove_transfer(self, chunks: int, transfer: str) -> None:
        posix = self._posix
        inner = posix.open_directory(transfer, chunks)
        with posix.closing(inner):
            for segment in posix.list(inner):
                if segment.isdecimal():
                    posix.unlink(segment, inner)
        posix.remove_directory(transfer, chunks)

    def _open_segment(self, effect: AppendChunk) -> int:
        posix = self._posix
        with self._root.parent(effect.name, create=True) as (parent, last):
            for attempt in range(_TRIES):
                try:
                    posix.make_directory(last + CHUNKS, parent, 0o700)
                    chunks = posix.open_directory(last + CHUNKS, parent)
                    with posix.closing(chunks):
                        posix.make_directory(str(effect.transfer), chunks, 0o700)
                        inner = posix.open_directory(str(effect.transfer), chunks)
                    break
                except FileNotFoundError:
                    # A lane removed the empty directory between two calls.
                    if attempt == _TRIES - 1:
                        raise
        with posix.closing(inner):
            fd = posix.open_write(segment_name(effect.segment), inner, create=True)
        try:
            self._cut(fd, effect)
        except OSError:
            posix.close(fd)
            raise
        return fd

    def _cut(self, fd: int, effect: AppendChunk) -> None:
        """Let the segment end where the chunk begins."""
        size = self._posix.fstat(fd).st_size
        if size < effect.position:
            raise OSError(errno.EIO, "an earlier chunk of the segment is not stored yet")
        # Behind an empty chunk the next one may stand already: only bytes that
        # replace others may cut them off.
        if size > effect.position and effect.data:
            self._posix.truncate(fd, effect.position)

    def _close(self, transfer: TransferKey, first: int) -> None:
        fd = self._open.pop((transfer, first), None)
        if fd is not None:
            self._posix.close(fd)


def _is_transfer(name: str) -> bool:
    parts = name.split("-")
    return len(parts) == 3 and all(part.isdecimal() for part in parts)
