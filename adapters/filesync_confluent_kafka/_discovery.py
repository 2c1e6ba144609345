"""
Looks at the topic now and then: which partitions it has, and whether it is still the same one.

Theory. Nothing here waits. A *look* is a generator: it asks, and yields until
the answers are there; every poll of the transport goes one step. The reading
client is not asked, since its requests queue behind a running fetch, and it
does not know topic ids: without them a topic that was deleted and created
again is read on in the middle of its new log, without a word.

A partition that is missing once may be missing in one broker's memory only:
it is lost when it is missing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from attrs import frozen
from confluent_kafka import IsolationLevel, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as DriverPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin import OffsetSpec as _OffsetSpec  # type: ignore[attr-defined]

from filesync import TopicPartition
from filesync.transport import Fault, OutOfRange, PartitionFound, PartitionLost, TopicRecreated
from filesync_confluent_kafka._causes import Layer, Weather, refusal

__all__ = ["Discovery"]

#: Seconds that an answer may take.
_ANSWER_TIMEOUT = 5.0

#: Seconds between looks while something is missing.
_RETRY = 1.0

#: Seconds between two services of the admin client's callbacks.
_SERVE = 1.0

#: Seconds after which a question that was not answered is asked in another way.
_PATIENCE = 0.3

#: Seconds that the other way may block. It is for brokers without a controller.
_BLOCKING = 0.2

#: Answered by nobody; whether the broker is down the reading client tells better.
_SILENCE = frozenset({"_TIMED_OUT", "_TRANSPORT", "_ALL_BROKERS_DOWN", "_WAIT_COORD"})

_MISSING = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC"})

#: What a broker says that knows no topic ids.
_NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"

#: Its methods have no types.
OffsetSpec: Any = _OffsetSpec

_Extent = tuple[int, int]


@frozen(kw_only=True)
class _Seen:
    """
    What one look saw.

    Attributes:
        partitions: Numbers of those that exist; None: there is no such topic.
        extents: Start and end of those that were measured.
    """

    partitions: frozenset[int] | None
    topic_id: str | None = None
    cluster_id: str | None = None
    extents: Mapping[int, _Extent] = {}


class Discovery:
    """
    Finds the partitions of one topic, and notices what becomes of them.

    Args:
        admin: Asks; belongs to the caller.
        topic: Its name.
        servers: As the operator wrote them, for messages.
        weather: Is told how the looks went.
        period: Seconds between looks when all is well.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        admin: AdminClient,
        topic: str,
        *,
        servers: str,
        weather: Weather,
        period: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._admin = admin
        self._topic = topic
        self._servers = servers
        self._weather = weather
        self._period = period
        self._retry = min(_RETRY, period)
        self._clock = clock
        self._look: Generator[None, None, _Seen] | None = None
        self._began = 0.0
        self._due = self._serve_at = float("-inf")
        self._topic_id: str | None = None
        self._without_ids = False
        self._found: set[int] = set()
        self._absent: set[int] = set()
        self._strayed: dict[int, int] = {}

    @property
    def hurried(self) -> bool:
        """Whether an answer should come within milliseconds."""
        return self._look is not None and self._clock() - self._began < _PATIENCE

    def stray(self, partition: int, position: int) -> None:
        """Note that *position* is not in the log: a look at once tells where the log is."""
        self._strayed[partition] = position
        self._due = float("-inf")

    def settle(self, partition: int) -> None:
        """Note that *partition* is read from another position now."""
        self._strayed.pop(partition, None)

    def stop(self) -> None:
        """Drop the look that is under way, and the hold that it has on the admin client."""
        if self._look is not None:
            self._look.close()
            self._look = None

    def use(self, admin: AdminClient) -> None:
        """Ask *admin* from now on."""
        self.stop()
        self._admin = admin
        self._due = float("-inf")

    def step(self) -> Sequence[Fault]:
        """Go on with the look, if there is one or one is due; return what it found."""
        now = self._clock()
        if self._look is None:
            if now >= self._serve_at:
                self._serve_at = now + _SERVE
                self._admin.poll(0)
                if not self._weather.fair:
                    self._due = min(self._due, now)
            if now < self._due:
                return ()
            self._began = now
            self._look = self._look_around()
        else:
            self._admin.poll(0)
        try:
            next(self._look)
        except StopIteration as ended:
            self._look = None
            return self._judge(ended.value)
        except KafkaException as exc:
            self._look = None
            self._due = now + self._retry
            self._explain(exc)
        return ()

    def _explain(self, exc: KafkaException) -> None:
        error = exc.args[0]
        if error.name() in _SILENCE:
            self._weather.unanswered()
        else:
            self._weather.clear(Layer.CONNECTION)
            cause = refusal(error.name(), error.str(), topic=self._topic, servers=self._servers)
            self._weather.trouble(Layer.TOPIC, cause)

    # -- Looking ------------------------------------------------------------

    def _look_around(self) -> Generator[None, None, _Seen]:
        try:
            seen = yield from self._describe()
        except KafkaException as exc:
            if exc.args[0].name() not in _MISSING:
                raise
            self._explain(exc)
            return _Seen(partitions=None)
        partitions = seen.partitions or frozenset()
        if self._is_another(seen.topic_id):
            unmeasured = partitions
        else:
            unmeasured = partitions - self._found | self._strayed.keys() & partitions
        if not unmeasured:
            return seen
        extents = yield from self._measure(unmeasured)
        return _Seen(
            partitions=partitions,
            topic_id=seen.topic_id,
            cluster_id=seen.cluster_id,
            extents=extents,
        )

    def _describe(self) -> Generator[None, None, _Seen]:
        if self._without_ids:
            seen = self._list()
            if seen is not None:
                return seen
        names = TopicCollection([self._topic])
        described = self._admin.describe_topics(names, request_timeout=_ANSWER_TIMEOUT)
        cluster: Future[Any] = self._admin.describe_cluster(request_timeout=_ANSWER_TIMEOUT)
        topic: Future[Any] = described[self._topic]
        ask_again = self._clock() + _PATIENCE
        while not (topic.done() and cluster.done()):
            yield
            if self._clock() >= ask_again and not self._weather.knocking:
                ask_again = self._clock() + _RETRY
                seen = self._list()
                if seen is not None:
                    return seen
        found = topic.result()
        topic_id = str(found.topic_id)
        return _Seen(
            partitions=frozenset(each.id for each in found.partitions),
            topic_id=None if topic_id == _NO_ID else topic_id,
            # Nothing is denied to whom this is denied but this.
            cluster_id=cluster.result().cluster_id if cluster.exception() is None else None,
        )

    def _list(self) -> _Seen | None:
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
            raise KafkaException(topic.error)
        return _Seen(partitions=frozenset(topic.partitions), cluster_id=metadata.cluster_id)

    def _measure(self, partitions: Iterable[int]) -> Generator[None, None, dict[int, _Extent]]:
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
        extents: dict[int, _Extent] = {}
        for source in sources:
            if starts[source].exception() is None and ends[source].exception() is None:
                start = starts[source].result().offset
                extents[source.partition] = start, max(start, ends[source].result().offset)
        if not extents:
            # None has a leader, say: the first one speaks for all.
            for future in futures:
                future.result()
        return extents

    # -- Judging ------------------------------------------------------------

    def _is_another(self, topic_id: str | None) -> bool:
        return None not in {topic_id, self._topic_id} and topic_id != self._topic_id

    def _judge(self, seen: _Seen) -> list[Fault]:
        """Compare what was seen with what is known; return the differences."""
        faults: list[Fault] = []
        partitions = seen.partitions or frozenset()
        if self._is_another(seen.topic_id):
            faults.append(TopicRecreated(topic=self._topic, topic_id=str(seen.topic_id)))
            self._found.clear()
            self._absent.clear()
            self._strayed.clear()
        self._topic_id = seen.topic_id or self._topic_id
        absent = self._found - partitions
        for partition in sorted(absent & self._absent):
            faults.append(PartitionLost(source=TopicPartition(self._topic, partition)))
            self._found.discard(partition)
            self._strayed.pop(partition, None)
        self._absent = absent & self._found
        faults += self._measured(seen)
        complete = seen.partitions is not None and partitions == self._found and not self._strayed
        self._due = self._clock() + (self._period if complete else self._retry)
        if seen.partitions is not None:
            cluster = f" of cluster {seen.cluster_id}" if seen.cluster_id else ""
            number = "1 partition" if len(partitions) == 1 else f"{len(partitions)} partitions"
            self._weather.seen(
                f"connected to {self._servers}{cluster}; {self._topic!r} has {number}"
            )
        return faults

    def _measured(self, seen: _Seen) -> Iterable[Fault]:
        for partition, (start, end) in sorted(seen.extents.items()):
            source = TopicPartition(self._topic, partition)
            if partition not in self._found:
                self._found.add(partition)
                yield PartitionFound(
                    source=source,
                    start=start,
                    end=end,
                    topic_id=seen.topic_id,
                    cluster_id=seen.cluster_id,
                )
            elif partition in self._strayed:
                position = self._strayed.pop(partition)
                yield OutOfRange(source=source, position=position, start=start, end=end)
