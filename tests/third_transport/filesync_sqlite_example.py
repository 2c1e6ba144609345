"""A log in one SQLite file: all of a third party's transport. Every look opens the file anew."""

import json
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from functools import lru_cache
from sqlite3 import Connection, Error, connect
from typing import Any

from filesync import Record, Settings, TopicPartition
from filesync import transport as t
from filesync.exceptions import TransportError

_EVERY = 0.02  # Seconds between two looks.
_PARTITIONS = "SELECT number, start, stop, topic_id FROM partitions WHERE name = ?"
_RECORDS = """SELECT place, timestamp, key, value, headers FROM records WHERE topic_id = ?
    AND partition = ? AND place >= ? ORDER BY place LIMIT max(0, ?)"""
_EXTENT = ("start", "end", "topic_id")
_Seen = dict[TopicPartition, tuple[int, int, str]]  # Start, end, topic id.
_health = lru_cache(8)(t.Health)  # While nothing changes it is the same object.


class SqliteTransport:
    """Reads a topic of the file that the option ``path`` names; see `t.Transport`."""

    def __init__(self, settings: Settings) -> None:
        self._topic, self._topic_id = settings.kafka.topic, ""
        self._path = str(settings.kafka.options["sqlite-example"]["path"])
        self._woken = threading.Event()
        self._found: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        self._health = _health(up=False, cause="not started")

    def start(self) -> None:
        if self._health.cause != "not started":
            raise TransportError("a transport is started once")
        self._health = _health(up=False, cause=f"{self._path} was not opened yet")

    def poll(self, timeout: float, max_records: int, wanted: t.Matcher) -> t.Polled:
        deadline = time.monotonic() + timeout
        while True:
            polled, left = self._look(max_records, wanted), deadline - time.monotonic()
            if polled.positions or polled.faults or self._woken.is_set() or left <= 0:
                self._woken.clear()
                return polled
            self._woken.wait(min(left, _EVERY))

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        self._check()
        self._positions.update(positions)

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> t.OffsetsResult:
        try:
            with closing(self._open()) as log, log:
                rows = [(source.topic, source.partition, at) for source, at in offsets.items()]
                log.executemany("REPLACE INTO told VALUES (?, ?, ?)", rows)
        except (Error, TransportError) as exc:
            return t.OffsetsResult(error=str(exc))
        return t.OffsetsResult()

    def health(self) -> t.Health:
        return self._health

    def wake(self) -> None:
        self._woken.set()

    def close(self, timeout: float) -> None:
        self._health = _health(up=False, cause="closed")

    def _check(self) -> None:
        if self._health.cause in {"not started", "closed"}:
            raise TransportError(f"the transport is {self._health.cause}")

    def _open(self) -> Connection:
        self._check()
        log = connect(f"file:{self._path}?mode=rw", timeout=2, uri=True)
        log.execute("PRAGMA foreign_keys = ON")  # Only partitions that exist are told.
        return log

    def _look(self, limit: int, wanted: t.Matcher) -> t.Polled:
        try:
            with closing(self._open()) as log:
                log.execute("BEGIN")  # All that follows sees the same moment.
                rows = log.execute(_PARTITIONS, (self._topic,))
                seen = {TopicPartition(self._topic, row[0]): row[1:] for row in rows}
                faults = self._notice(seen)
                return t.Polled(faults=faults) if faults else self._read(log, seen, limit, wanted)
        except Error as exc:
            self._health = _health(up=False, cause=f"cannot read {self._path}: {exc}")
            return t.Polled()

    def _notice(self, seen: _Seen) -> list[t.Fault]:
        cause = f"{'reading' if seen else 'there is no'} topic {self._topic!r} in {self._path}"
        self._health = _health(up=bool(seen), cause=cause)
        topic_id = next((each[2] for each in seen.values()), self._topic_id)
        faults: list[t.Fault] = [t.PartitionLost(source=lost) for lost in self._found - seen.keys()]
        if self._topic_id not in {"", topic_id}:
            faults = [t.TopicRecreated(topic=self._topic, topic_id=topic_id)]
        if faults:
            self._found, self._positions = set(), {}
        for source in sorted(seen.keys() - self._found):
            extent: dict[str, Any] = dict(zip(_EXTENT, seen[source], strict=True))
            faults.append(t.PartitionFound(source=source, cluster_id=self._path, **extent))
        self._found, self._topic_id = set(seen), topic_id
        return faults

    def _read(self, log: Connection, seen: _Seen, limit: int, wanted: t.Matcher) -> t.Polled:
        records: list[Record] = []
        faults: list[t.Fault] = []
        moved: dict[TopicPartition, int] = {}
        taken = 0
        for source, at in list(self._positions.items()):
            start, end, topic_id = seen[source]
            if not start <= at <= end:
                faults.append(t.OutOfRange(source=source, position=at, start=start, end=end))
                del self._positions[source]
                continue
            for row in log.execute(_RECORDS, (topic_id, source.partition, at, limit - taken)):
                offset, timestamp, key, value, text = row
                self._positions[source] = moved[source] = offset + 1
                try:
                    pairs: list[tuple[str, str | None]] = json.loads(text)
                    headers = [(n, None if v is None else v.encode("latin-1")) for n, v in pairs]
                except ValueError as exc:
                    faults.append(t.Unreadable(source=source, offset=offset, why=str(exc)))
                else:
                    taken += 1
                    if wanted(key, headers):
                        records.append(Record(source, offset, timestamp, key, value, headers))
        passed = taken - len(records)
        return t.Polled(records=records, faults=faults, positions=moved, passed_over=passed)
