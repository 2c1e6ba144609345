"""
Chunks that could not be stored, because the disk is full or fails.

Theory. They are kept, and tried again after a while; until all of them are
stored nothing more is read, so that what is kept never grows beyond what was
read already. A try has two halves: the chunks are handed out, and when no
failure has come by the time of the next alarm, they are stored.
"""

from __future__ import annotations

from filesync._effects import AppendChunk
from filesync._model import TransferKey
from filesync._outcomes import SpoolRetried

__all__ = ["RETRY_AFTER", "StuckChunks"]

#: Seconds between two tries.
RETRY_AFTER = 1.0


class StuckChunks:
    """The chunks that wait for room, oldest first."""

    def __init__(self) -> None:
        self._chunks: list[AppendChunk] = []
        self._told = False
        self.waiting = False

    def failed(self, effect: AppendChunk, error: str) -> SpoolRetried | None:
        """Keep *effect*, which was not stored; return what to report, once per trouble."""
        self._chunks.append(effect)
        self.waiting = True
        if self._told:
            return None
        self._told = True
        return SpoolRetried(name=effect.name, detail=error, retry_in=RETRY_AFTER)

    def retry(self) -> list[AppendChunk]:
        """Return the chunks to store now; none: all are stored, the trouble is over."""
        chunks, self._chunks = self._chunks, []
        self.waiting = bool(chunks)
        return chunks

    def drop(self, transfer: TransferKey) -> None:
        """*transfer* has ended: its chunks are not wanted any more."""
        self._chunks = [chunk for chunk in self._chunks if chunk.transfer != transfer]

    def read_on(self) -> None:
        """More was read: the next trouble is another one."""
        self._told = False
