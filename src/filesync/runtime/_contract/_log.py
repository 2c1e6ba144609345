"""The log that the contract's tests steer, and what they ask of it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Protocol

from filesync._model import Headers, TopicPartition

__all__ = ["Log", "down", "needs", "new_name", "new_topic", "publish"]


class Log(Protocol):
    """
    A broker that can be steered. Offsets start at 0; what is published is at once readable.

    It takes records of 1 MB, and 5 MB in a partition. What it cannot do it says
    in an attribute that is False; the tests that need it are skipped. All may
    be left out, and are True then:

    - ``tells_topic_ids``: a topic that was deleted and created again has
      another topic id.
    - ``adds_partitions``: `add_partitions` keeps those that are there.
    - ``holds_undecodable``: `publish_undecodable` works.

    A log may also have an ``address``, text that `Transport.health` must name
    while the broker is down.
    """

    def create_topic(self, name: str, partitions: int = 1) -> object:
        """Create a topic; raise when it exists."""

    def delete_topic(self, name: str) -> object:
        """Delete a topic."""

    def add_partitions(self, name: str, total: int) -> object:
        """Let a topic, to which nothing was published, have *total* partitions."""

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        timestamp: float | None = None,
    ) -> object:
        """Append a record; return when it is in the log."""

    def publish_undecodable(self, topic: str) -> object:
        """Append to partition 0 a record with a header name that is not UTF-8."""

    def delete_records(self, source: TopicPartition, before: int) -> object:
        """Remove the records below offset *before*."""

    def stop(self) -> object:
        """Go away."""

    def start(self) -> object:
        """Come back, with everything that was there."""

    def told(self, source: TopicPartition) -> int | None:
        """Return what the transport under test told of *source*."""


_ABILITIES = {
    "tells_topic_ids": "topic ids",
    "adds_partitions": "a log to which partitions can be added",
    "holds_undecodable": "a log that holds records that cannot be decoded",
}


def needs(log: Log, ability: str) -> None:
    """Skip the test if *log* says that it lacks *ability*."""
    if not getattr(log, ability, True):
        import pytest  # noqa: PLC0415 - `filesync.testing` is of use without it

        pytest.skip(f"this environment does not promise {_ABILITIES[ability]}")


@contextlib.contextmanager
def down(log: Log) -> Iterator[None]:
    """Stop the broker; start it at the end, whatever happens."""
    log.stop()
    try:
        yield
    finally:
        log.start()


def new_name() -> str:
    """Return a name for a topic that nobody has used."""
    return f"contract-{uuid.uuid4().hex}"


def new_topic(log: Log, partitions: int = 1) -> str:
    """Create a topic; return its name."""
    name = new_name()
    log.create_topic(name, partitions)
    return name


def publish(log: Log, topic: str, count: int, *, partition: int = 0, first: int = 0) -> None:
    """Publish so many records, with numbers from *first* on as values: a new log's offsets."""
    for number in range(first, first + count):
        log.publish(topic, b"%d" % number, partition=partition)
