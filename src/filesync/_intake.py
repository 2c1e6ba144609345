"""A record's way in: codec, name policy, assembler. Refusals are values."""

from __future__ import annotations

from collections.abc import Iterable

from filesync import _assembler
from filesync._assembler import Assembler
from filesync._codec import decode
from filesync._matching import by_hostname, by_key
from filesync._model import Record, Target, TopicPartition
from filesync._names import Naming
from filesync._outcomes import Ending, RecordRefused
from filesync._settings import RouteBy, Settings
from filesync.exceptions import (
    MalformedRecordError,
    RecordError,
    RefusedByPolicyError,
    RefusedNameError,
)

__all__ = ["Intake"]

_ENDINGS: dict[type[RecordError], Ending] = {
    MalformedRecordError: Ending.MALFORMED,
    RefusedNameError: Ending.REFUSED_NAME,
    RefusedByPolicyError: Ending.REFUSED_POLICY,
}

#: Names whose verdict is remembered: a long transfer asks once, not per chunk.
_REMEMBERED_TARGETS = 4096


class Intake:
    """Takes the records that are meant for this host."""

    def __init__(self, settings: Settings) -> None:
        self._by_hostname = settings.route_by is RouteBy.HOSTNAME
        self.wanted = (
            by_hostname(settings.hostname) if self._by_hostname else by_key(settings.zone_id or "")
        )
        self.assembler = Assembler(settings.limits)
        self._naming = Naming(files_dir=settings.kafka.files_dir, rules=settings.files)
        self._targets: dict[str, Target] = {}

    def take(self, record: Record, at: float) -> list[_assembler.Step]:
        """Take one record; return what follows from it, in order."""
        try:
            chunk = decode(record, routed_by_hostname=self._by_hostname)
            return self.assembler.add(chunk, self._target(chunk.name), at)
        except RecordError as exc:
            ending, detail = _ENDINGS[type(exc)], str(exc)
            return [
                RecordRefused(
                    ending=ending, source=record.source, offset=record.offset, detail=detail
                )
            ]

    def note(self, records: Iterable[Record], wall: float) -> None:
        """Note how far the log has come; *wall* is now, in seconds since 1970."""
        newest: dict[TopicPartition, tuple[int, float]] = {}
        for record in records:
            _, before = newest.get(record.source, (0, 0.0))
            newest[record.source] = record.offset, max(before, record.timestamp or 0.0)
        for source, (offset, timestamp) in newest.items():
            # A time in the future would expire everything else.
            self.assembler.note(source, offset, min(timestamp, wall))

    def _target(self, name: str) -> Target:
        target = self._targets.get(name)
        if target is None:
            target = self._naming.target(name)
            if len(self._targets) >= _REMEMBERED_TARGETS:
                self._targets.clear()
            self._targets[name] = target
        return target
