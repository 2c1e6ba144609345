"""A snapshot of what the engine knows, for whoever asks."""

from __future__ import annotations

from collections.abc import Mapping

from filesync._model import CommittedFile, TopicPartition
from filesync._values import frozen
from filesync.transport import Health

__all__ = ["Stats"]


@frozen(kw_only=True)
class Stats:
    """
    A frozen snapshot.

    Attributes:
        caught_up: Whether all that was in the log at start is on disk.
        counters: Outcomes by label; with them ``records`` (meant for this
            host) and ``passed_over`` (for others).
        open_transfers: Transfers that miss chunks.
        spooled_bytes: Stored of them.
        unfinished_commits: Whole files that are not visible yet.
        held_commits: Of those, held back until caught up.
        parked_commits: Of those, configurations that wait for files that they name.
        files: By name, the versions that readers see.
        positions: Next offsets to read.
        safe_positions: Next offsets that a restart would read from.
        unserved: Files that no successful action has covered yet.
        schedule: State of the scheduler: idle, waiting, retrying, running or blocked.
        health: The transport's, None before it was first seen.
    """

    caught_up: bool
    counters: Mapping[str, int]
    open_transfers: int
    spooled_bytes: int
    unfinished_commits: int
    held_commits: int
    parked_commits: int
    files: Mapping[str, CommittedFile]
    positions: Mapping[TopicPartition, int]
    safe_positions: Mapping[TopicPartition, int]
    unserved: tuple[str, ...]
    schedule: str
    health: Health | None
