"""
Has everything been read that was in the log at start?

The end of every partition is noted when it is found. Until the positions have
come that far, the host is not ready, and intermediate versions of a file are
not worth showing. What is added to the log meanwhile is not waited for.
"""

from __future__ import annotations

from collections.abc import Mapping

from filesync._model import TopicPartition

__all__ = ["CatchUp"]


class CatchUp:
    """The partitions that are still behind their ends."""

    def __init__(self) -> None:
        self._behind: dict[TopicPartition, int] = {}
        self.begun = False

    @property
    def done(self) -> bool:
        """Whether the log is known and every end was reached."""
        return self.begun and not self._behind

    def expect(self, source: TopicPartition, position: int, end: int) -> None:
        """*source* is read from *position*; its *end* is to be reached."""
        self.begun = True
        self._behind.pop(source, None)
        if position < end:
            self._behind[source] = end

    def advance(self, positions: Mapping[TopicPartition, int]) -> None:
        """Note how far reading has come."""
        for source, position in positions.items():
            if position >= self._behind.get(source, position + 1):
                del self._behind[source]

    def forget(self, source: TopicPartition) -> None:
        """*source* is no longer read."""
        self._behind.pop(source, None)
