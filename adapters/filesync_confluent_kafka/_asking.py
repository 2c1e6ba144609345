"""
Asks about the topic, with an admin client: the reading client does not know topic ids.

A broker without a controller that can be reached, such as some proxies, tells
no topic ids: it is asked for bare metadata, which may block, so shortly.

An admin client must end in a thread of ours, the moment it is let go: the
driver aborts the process when one of its own threads, in which the garbage
collector happened to run, is the one that ends it. So nothing here may be part
of a cycle: of a future that failed the exception is looked at, and not raised,
since it would hold the frames that it passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as DriverPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as _OffsetSpec  # type: ignore[attr-defined]

from filesync_confluent_kafka._causes import refusal
from filesync_kafka_common.causes import Cause
from filesync_kafka_common.discovery import (
    PATIENCE,
    RETRY,
    Answer,
    RefusedError,
    UnansweredError,
)
from filesync_kafka_common.lookout import Extent, Seen
from filesync_kafka_common.weather import Weather

__all__ = ["AdminAsker"]

#: Seconds that an answer may take.
_ANSWER_TIMEOUT = 5.0

#: Seconds that asking for bare metadata may block.
_BLOCKING = 0.2

_SILENCE = frozenset({"_TIMED_OUT", "_TRANSPORT", "_ALL_BROKERS_DOWN", "_WAIT_COORD"})

_MISSING = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"})

#: What a broker says that knows no topic ids.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"

_URL_SAFE = str.maketrans("+/", "-_")

#: Its methods have no types.
OffsetSpec: Any = _OffsetSpec


class AdminAsker:
    """
    Asks about *topic*; see `filesync_kafka_common.discovery.Asker`.

    Args:
        admin: Belongs to the caller.
        topic: Its name.
        servers: As the operator wrote them, for messages.
        weather: Tells whether connections fail just now.
        right: To the topic; what we need beside DESCRIBE.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        admin: AdminClient,
        topic: str,
        *,
        servers: str,
        weather: Weather,
        right: str = "READ",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin
        self._right = right
        self._topic = topic
        self._servers = servers
        self._weather = weather
        self._clock = clock
        self._without_ids = False

    def serve(self) -> None:
        """Let the driver tell its errors."""
        self._admin.poll(0)

    def describe(self) -> Answer:
        """Ask for the partitions and the topic's id."""
        if self._without_ids:
            seen = self._list()
            if seen is not None:
                return seen
        names = TopicCollection([self._topic])
        described = self._admin.describe_topics(names, request_timeout=_ANSWER_TIMEOUT)
        cluster: Future[Any] = self._admin.describe_cluster(request_timeout=_ANSWER_TIMEOUT)
        topic: Future[Any] = described[self._topic]
        ask_again = self._clock() + PATIENCE
        while not (topic.done() and cluster.done()):
            yield
            if self._clock() >= ask_again and not self._weather.knocking:
                ask_again = self._clock() + RETRY
                seen = self._list()
                if seen is not None:
                    return seen
        if topic.exception() is not None:
            return self._missing(_error_of(topic))
        found = topic.result()
        topic_id = str(found.topic_id)
        return Seen(
            partitions=frozenset(each.id for each in found.partitions),
            # As Kafka's own tools, and other drivers, write it.
            topic_id=None if topic_id == _NO_ID else topic_id.translate(_URL_SAFE),
            # Nothing is denied to whom this is denied but this.
            cluster_id=cluster.result().cluster_id if cluster.exception() is None else None,
        )

    def measure(self, partitions: frozenset[int]) -> Generator[None, None, Mapping[int, Extent]]:
        """Ask where *partitions* begin and end."""
        sources = [DriverPartition(self._topic, partition) for partition in partitions]
        starts, ends = (
            self._admin.list_offsets(
                dict.fromkeys(sources, which),
                isolation_level=IsolationLevel.READ_COMMITTED,
                request_timeout=_ANSWER_TIMEOUT,
            )
            for which in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        futures: list[Future[Any]] = [*starts.values(), *ends.values()]
        while not all(future.done() for future in futures):
            yield
        extents: dict[int, Extent] = {}
        for source in sources:
            if starts[source].exception() is None and ends[source].exception() is None:
                start = starts[source].result().offset
                extents[source.partition] = start, max(start, ends[source].result().offset)
        failed = [future for future in futures if future.exception() is not None]
        if failed and not extents:
            # None has a leader, say: the first one speaks for all.
            raise self._translated(_error_of(failed[0]))
        return extents

    def _missing(self, error: Any) -> Seen:
        """Return that there is no topic, if *error* says so; else raise what it says."""
        if error.name() in _MISSING:
            return Seen(partitions=None)
        raise self._translated(error)

    def _translated(self, error: Any) -> UnansweredError | RefusedError:
        if error.name() in _SILENCE:
            return UnansweredError(error.str())
        return RefusedError(
            refusal(
                error.name(),
                error.str(),
                topic=self._topic,
                servers=self._servers,
                right=self._right,
            )
        )

    def _list(self) -> Seen | None:
        """Ask for bare metadata; None: there is a controller, so ids can be had."""
        try:
            metadata = self._admin.list_topics(self._topic, timeout=_BLOCKING)
        except KafkaException:
            return None
        # -1: one is being elected, and will answer.
        if metadata.controller_id == -1 or metadata.controller_id in metadata.brokers:
            return None
        self._without_ids = True
        topic = metadata.topics[self._topic]
        if topic.error is not None:
            return self._missing(topic.error)
        return Seen(partitions=frozenset(topic.partitions), cluster_id=metadata.cluster_id)


def _error_of(future: Future[Any]) -> Any:
    """Return the driver's error with which *future* failed."""
    problem = future.exception()
    if not isinstance(problem, KafkaException):
        raise RefusedError(Cause(f"the driver failed: {problem!r}"))
    return problem.args[0]
