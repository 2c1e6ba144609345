"""
What must outlive the process: the ledger, and what the broker is told of it.

Theory. The keeper holds the ledger as the engine knows it. Every entry is
applied to it at once and made durable by a `SaveJournal`, one at a time, so
that entries become durable in their order; what could not be written is
written again, before the next. Commits are not written here: a plan writes
its own, in step with its rename, and `committed` only notes it.

What the broker is told (the offsets of the group) is for lag tools. It is
never read back, so that it may fail; only the first failure is reported.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from filesync._effects import CommitOffsets, SaveJournal
from filesync._ledger import (
    Entry,
    FileCommitted,
    FileConfirmed,
    Ledger,
    LogSeen,
    PositionsForgotten,
    PositionsSaved,
    Served,
    replay,
)
from filesync._model import CommittedFile, Origin, TopicPartition
from filesync._outcomes import FaultSeen
from filesync.exceptions import InvalidTransitionError
from filesync.transport import PartitionFound

__all__ = ["Keeper"]


class Keeper:
    """The ledger, what of it is not durable yet, and what the broker knows."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._unsaved: tuple[Entry, ...] = ()
        self._saving: SaveJournal | None = None
        self._told: Mapping[TopicPartition, int] = {}
        self._telling = False
        self._tell_failed = False
        self._ids = 0

    @property
    def saving(self) -> bool:
        """Whether a save is under way."""
        return self._saving is not None

    def open(self, ledger: Ledger) -> None:
        """Take what the journal said at start."""
        self.ledger = ledger

    def committed(self, file: CommittedFile) -> None:
        """Note a commit that a plan has made durable."""
        entry = FileCommitted(file=file, positions={}, epoch=self.ledger.epoch)
        self.ledger = replay(self.ledger, entry)

    def confirmed(self, name: str, origin: Origin) -> SaveJournal | None:
        """Note that the bytes of *name* were sent again, from *origin*."""
        sequence = self.ledger.files[name].sequence
        return self._save(
            FileConfirmed(name=name, sequence=sequence, origin=origin, epoch=self.ledger.epoch)
        )

    def log_seen(self, found: PartitionFound) -> SaveJournal | None:
        """Note which log a partition belongs to; None when nothing is new."""
        topic, epoch = found.source.topic, self.ledger.epoch
        before = self.ledger.logs.get(topic)
        log = LogSeen(
            topic=topic, topic_id=found.topic_id, cluster_id=found.cluster_id, epoch=epoch
        )
        if before is None:
            return self._save(log)
        if not before.is_same_log(log):
            return self._save(evolve(log, epoch=epoch + 1))
        # What was known stays known, even if the broker cannot tell it now.
        learned = evolve(
            before,
            topic_id=before.topic_id or log.topic_id,
            cluster_id=before.cluster_id or log.cluster_id,
            epoch=epoch,
        )
        return None if evolve(before, epoch=epoch) == learned else self._save(learned)

    def log_cut(self, source: TopicPartition) -> SaveJournal | None:
        """*source* starts anew."""
        return self._save(PositionsForgotten(source=source, epoch=self.ledger.epoch + 1))

    def served(self, sequence: int) -> SaveJournal | None:
        """Every commit up to *sequence* is served."""
        return self._save(Served(sequence=sequence))

    def save_positions(self, safe: Mapping[TopicPartition, int]) -> SaveJournal | None:
        """Make *safe* durable, and what could not be saved before; None: it is."""
        moved = any(self.ledger.positions.get(source) != offset for source, offset in safe.items())
        if moved:
            return self._save(PositionsSaved(positions=dict(safe), epoch=self.ledger.epoch))
        return self.flush()

    def flush(self) -> SaveJournal | None:
        """Make durable what is not; None: it is, or that is under way."""
        if self._saving is not None or not self._unsaved:
            return None
        self._ids += 1
        self._saving = SaveJournal(self._ids, self._unsaved)
        self._unsaved = ()
        return self._saving

    def saved(self, save: int, error: str | None) -> FaultSeen | None:
        """A save ended; return what the operator should know, if anything."""
        saving = self._saving
        if saving is None or saving.id != save:
            raise InvalidTransitionError(f"save {save} ended while {saving} was under way")
        self._saving = None
        if error is None:
            return None
        self._unsaved = saving.entries + self._unsaved
        return FaultSeen(label="journal_failed", detail=f"{error}; it is tried again")

    def tell(self, safe: Mapping[TopicPartition, int], *, again: bool) -> CommitOffsets | None:
        """Tell the broker *safe*; *again* even if it knows. None: nothing to do now."""
        if self._telling or not safe or (dict(safe) == self._told and not again):
            return None
        self._telling = True
        self._told = dict(safe)
        self._ids += 1
        return CommitOffsets(self._ids, self._told)

    def told(self, error: str | None) -> FaultSeen | None:
        """The broker answered; return what the operator should know, if anything."""
        self._telling = False
        failed_before, self._tell_failed = self._tell_failed, error is not None
        if error is None:
            return None
        self._told = {}
        if failed_before:
            return None
        return FaultSeen(
            label="offsets_not_told",
            detail=f"lag tools will show old offsets, nothing else is harmed: {error}",
        )

    def _save(self, entry: Entry) -> SaveJournal | None:
        self.ledger = replay(self.ledger, entry)
        self._unsaved = (*self._unsaved, entry)
        return self.flush()
