"""
A log in one SQLite file: what the transport in ``tests/third_transport`` reads.

Theory. A transaction is what makes a record readable, a file that was renamed
what is a broker that is down. Headers are JSON, their values Latin-1 text, so
that bytes which are no JSON are a record that nobody can decode.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from filesync import TopicPartition
from filesync._model import Headers

__all__ = ["SqliteLog"]

_SCHEMA = """
CREATE TABLE partitions (
    name TEXT, number INTEGER, start INTEGER DEFAULT 0, stop INTEGER DEFAULT 0, topic_id TEXT,
    PRIMARY KEY (name, number)
);
CREATE TABLE records (
    topic_id TEXT, partition INTEGER, place INTEGER,
    timestamp REAL, key BLOB, value BLOB, headers BLOB,
    PRIMARY KEY (topic_id, partition, place)
);
CREATE TABLE told (
    name TEXT, number INTEGER, place INTEGER,
    PRIMARY KEY (name, number),
    FOREIGN KEY (name, number) REFERENCES partitions ON DELETE CASCADE
);
"""


_OURS = "WHERE name = ? AND number = ?"


class SqliteLog:
    """
    Steers a log as `filesync.testing.Log` says.

    Attributes:
        address: Path of the file.
    """

    def __init__(self, path: Path) -> None:
        self.address = str(path)
        self._path, self._away = path, path.with_suffix(".away")
        self._ids = map("id-{}".format, itertools.count(1))
        with closing(sqlite3.connect(path)) as file:
            file.executescript(_SCHEMA)

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Create a topic that does not exist."""
        self._add(name, range(partitions), next(self._ids))

    def delete_topic(self, name: str) -> None:
        """Delete a topic, and what was told of it; nobody asks for its records any more."""
        with self._change() as file:
            file.execute("DELETE FROM partitions WHERE name = ?", (name,))

    def add_partitions(self, name: str, total: int) -> None:
        """Let a topic have *total* partitions."""
        count = "SELECT count(*), min(topic_id) FROM partitions WHERE name = ?"
        with self._change() as file:
            present, topic_id = file.execute(count, (name,)).fetchone()
        self._add(name, range(present, total), topic_id)

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        timestamp: float | None = None,
    ) -> None:
        """Append a record."""
        texts = [(name, None if data is None else data.decode("latin-1")) for name, data in headers]
        self._append(topic, partition, (timestamp, key, value, json.dumps(texts).encode()))

    def publish_undecodable(self, topic: str) -> None:
        """Append to partition 0 a record with a header name that is not UTF-8."""
        self._append(topic, 0, (None, None, b"value", b'[["\xff\xfe", "x"]]'))

    def delete_records(self, source: TopicPartition, before: int) -> None:
        """Remove what *source* has below offset *before*."""
        partition = (source.topic, source.partition)
        cut = f"UPDATE partitions SET start = min(stop, max(start, ?)) {_OURS}"
        with self._change() as file:
            file.execute(cut, (before, *partition))
            file.execute(
                "DELETE FROM records WHERE (topic_id, partition) ="
                f" (SELECT topic_id, number FROM partitions {_OURS}) AND place < ?",
                (*partition, before),
            )

    def stop(self) -> None:
        """Go away."""
        self._path.rename(self._away)

    def start(self) -> None:
        """Come back, with everything that was there."""
        self._away.rename(self._path)

    def told(self, source: TopicPartition) -> int | None:
        """Return what was told of *source*."""
        with self._change() as file:
            asked = (source.topic, source.partition)
            row = file.execute(f"SELECT place FROM told {_OURS}", asked).fetchone()
        return None if row is None else int(row[0])

    def _add(self, name: str, numbers: Sequence[int], topic_id: str) -> None:
        rows = [(name, number, topic_id) for number in numbers]
        with self._change() as file:
            file.executemany(
                "INSERT INTO partitions (name, number, topic_id) VALUES (?, ?, ?)", rows
            )

    def _append(self, topic: str, partition: int, record: tuple[object, ...]) -> None:
        chosen = f"SELECT topic_id, number, stop, ?, ?, ?, ? FROM partitions {_OURS}"
        with self._change() as file:
            file.execute(f"INSERT INTO records {chosen}", (*record, topic, partition))
            file.execute(f"UPDATE partitions SET stop = stop + 1 {_OURS}", (topic, partition))

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path)) as file:
            file.execute("PRAGMA foreign_keys = ON")
            file.execute("PRAGMA synchronous = OFF")  # Nobody pulls the plug of a test.
            with file:
                yield file
