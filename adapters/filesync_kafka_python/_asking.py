"""
Asks about the topic, and tells the broker our offsets: a client that is not the reading one.

Theory. Everything that this driver is asked blocks. So a thread of its own
asks, and who wants to know looks whether the answer is there. The client is
made by that thread too, since making it waits for a broker; one that could not
be made must be closed by hand, or it leaves a thread and four descriptors.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar
from uuid import UUID

from kafka import KafkaAdminClient, OffsetAndMetadata, errors
from kafka import TopicPartition as DriverPartition
from kafka.admin import OffsetSpec
from kafka.net.compat import KafkaNetClient

from filesync import TopicPartition
from filesync.transport import OffsetsResult
from filesync_kafka_common.discovery import Answer, RefusedError, UnansweredError
from filesync_kafka_common.lookout import Extent, Seen
from filesync_kafka_python._causes import is_denial, is_silence, refusal, text_of
from filesync_kafka_python._config import Config
from filesync_kafka_python._worker import Worker

__all__ = ["Admin", "AdminAsker", "store", "topic_id_of"]

_Result = TypeVar("_Result")

#: Seconds of silence after which a client is made anew: brokers may have moved.
_TOO_SILENT = 30.0

#: Kafka's numbers of errors that one topic can have.
_MISSING, _NONE = 3, 0


def topic_id_of(told: UUID | str | None) -> str | None:
    """Return a topic's id as Kafka's own tools and other drivers write it; None: it has none."""
    if told is None:
        return None
    # The driver's answers hold the usual text of it, as 3.0.12 gives them.
    uuid = UUID(str(told))
    if uuid.int == 0:
        return None
    return base64.urlsafe_b64encode(uuid.bytes).rstrip(b"=").decode()


class Admin:
    """
    An admin client that is made when it is needed, and made anew when it heard nothing for long.

    Args:
        config: Its arguments.
        clock: Monotonic seconds.
    """

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._mutex = threading.Lock()
        self._closed = False
        self._net: KafkaNetClient | None = None
        self._client: KafkaAdminClient | None = None
        self._heard_at = clock()

    @property
    def is_open(self) -> bool:
        """Whether there is a client."""
        return self._client is not None

    @property
    def cluster_id(self) -> str | None:
        """Which cluster answered last, as far as it said so."""
        net = self._net
        cluster_id: str | None = None if net is None else net.cluster.cluster_id
        return cluster_id

    def ask(self, question: Callable[[KafkaAdminClient], _Result]) -> _Result:
        """
        Return the answer to *question*. Blocks, for some seconds at most.

        Raises:
            KafkaError: There is none.
        """
        client = self._client or self._open()
        try:
            result = question(client)
        except Exception as exc:
            if not isinstance(exc, errors.KafkaError):
                # The driver's own loop has ended, or it does not know what it was told.
                self._drop()
                raise errors.KafkaError(f"{type(exc).__name__}: {text_of(exc)}") from exc
            if is_denial(exc) or self._clock() - self._heard_at > _TOO_SILENT:
                self._drop()
            elif not is_silence(exc):
                self._heard_at = self._clock()
            raise
        self._heard_at = self._clock()
        return result

    def close(self) -> None:
        """End it; whoever waits for an answer gets an error."""
        self._closed = True
        self._drop()

    def _open(self) -> KafkaAdminClient:
        try:
            client = KafkaAdminClient(kafka_client=self._make, **self._config)
        except BaseException:
            self._drop()
            raise
        with self._mutex:
            self._client = client
        if self._closed:
            self._drop()
            raise errors.KafkaConnectionError("closed")
        self._heard_at = self._clock()
        return client

    def _make(self, **config: Any) -> KafkaNetClient:
        """Make what the client stands on: if it fails, that is what must be closed."""
        net = KafkaNetClient(**config)
        with self._mutex:
            self._net = net
        return net

    def _drop(self) -> None:
        with self._mutex:
            client, self._client = self._client, None
            net, self._net = self._net, None
        for each in (client, net):
            if each is not None:
                _close(each)


class AdminAsker:
    """
    Asks about *topic*; see `filesync_kafka_common.discovery.Asker`.

    Args:
        admin: Asks.
        worker: In this thread.
        topic: Its name.
        servers: As the operator wrote them, for messages.
        right: To the topic; what we need beside DESCRIBE.
    """

    def __init__(
        self, admin: Admin, worker: Worker, topic: str, *, servers: str, right: str = "READ"
    ) -> None:
        self._admin = admin
        self._right = right
        self._worker = worker
        self._topic = topic
        self._servers = servers

    def serve(self) -> None:
        """Nothing is done in our thread."""

    def describe(self) -> Answer:
        """Ask for the partitions and the topic's id."""
        return (yield from self._wait(self._worker.start(lambda: self._admin.ask(self._describe))))

    def measure(self, partitions: frozenset[int]) -> Generator[None, None, Mapping[int, Extent]]:
        """Ask where *partitions* begin and end."""
        asked = self._worker.start(
            lambda: self._admin.ask(lambda client: self._measure(client, partitions))
        )
        return (yield from self._wait(asked))

    def _wait(self, future: Future[_Result]) -> Generator[None, None, _Result]:
        try:
            while not future.done():
                yield
        finally:
            future.cancel()
        try:
            return future.result()
        except errors.KafkaError as exc:
            if is_silence(exc):
                raise UnansweredError(text_of(exc)) from exc
            cause = refusal(exc, topic=self._topic, servers=self._servers, right=self._right)
            raise RefusedError(cause) from exc

    def _describe(self, client: KafkaAdminClient) -> Seen:
        # Its public methods ask twice, and `describe_cluster` fails where the
        # answer is of the first version, as with every api_version below 3.7.
        metadata = client._manager.run(client._get_cluster_metadata, [self._topic])  # noqa: SLF001
        (topic,) = metadata["topics"]
        error = topic["error_code"]
        if error == _MISSING:
            return Seen(partitions=None)
        if error != _NONE:
            raise errors.for_code(error)
        return Seen(
            partitions=frozenset(each["partition_index"] for each in topic["partitions"]),
            topic_id=topic_id_of(topic.get("topic_id")),
            cluster_id=self._admin.cluster_id,
        )

    def _measure(
        self, client: KafkaAdminClient, partitions: frozenset[int]
    ) -> Mapping[int, Extent]:
        extents: dict[int, Extent] = {}
        problem: errors.KafkaError | None = None
        for partition in sorted(partitions):
            source = DriverPartition(self._topic, partition)
            try:
                # One by one: one without a leader would spoil the answers for all.
                start, end = (
                    client.list_partition_offsets(
                        {source: which}, isolation_level="read_committed"
                    )[source].offset
                    for which in (OffsetSpec.EARLIEST, OffsetSpec.LATEST)
                )
            except errors.KafkaError as exc:
                problem = exc
                continue
            extents[partition] = start, max(start, end)
        if problem is not None and not extents:
            raise problem
        return extents


def store(admin: Admin, group: str, offsets: Mapping[TopicPartition, int]) -> OffsetsResult:
    """Tell the broker *offsets* of *group*. Blocks, for some seconds at most; raises nothing."""
    request = {
        DriverPartition(source.topic, source.partition): OffsetAndMetadata(offset, "", -1)
        for source, offset in offsets.items()
    }
    try:
        results = admin.ask(lambda client: client.alter_group_offsets(group, request))
    except errors.KafkaError as exc:
        return OffsetsResult(error=_explain(type(exc), text_of(exc), group))
    for partition, error in results.items():
        if error is not errors.NoError:
            source = TopicPartition(partition.topic, partition.partition)
            return OffsetsResult(error=f"{source}: {_explain(error, error.__name__, group)}")
    return OffsetsResult()


def _explain(error: type[BaseException], told: str, group: str) -> str:
    if issubclass(error, errors.GroupAuthorizationFailedError):
        return f"no right on the group {group!r}: grant us READ on it"
    if issubclass(error, errors.UnknownMemberIdError):
        return f"the group {group!r} has members: set another kafka.group"
    return told


def _close(client: KafkaNetClient | KafkaAdminClient) -> None:
    # It is of no more use, whatever it says.
    with contextlib.suppress(Exception):
        client.close()
