"""
Tells the broker how far reading has come, for lag tools.

Theory. Not with the reading client: its commit has no time-out, and can wait
as long as a broker is away. An admin client has a time-out, but must never
come to it: when the group's coordinator is reached after a request to it has
timed out, librdkafka ends the whole process
(``rd_kafka_enq_once_del_source_return: Assertion `eonce->refcnt > 0' failed``;
2.13 to 2.16). So the driver is given a time that is never over, the waiting is
done here, and a client with an unanswered request is thrown away: that is
orderly, and takes milliseconds. For that it is a client of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as DriverPartition
from confluent_kafka.admin import AdminClient

from filesync import TopicPartition
from filesync.transport import OffsetsResult
from filesync_confluent_kafka._causes import text_of
from filesync_confluent_kafka._config import Config

__all__ = ["OffsetStore"]

#: Seconds that an answer is waited for.
_TIMEOUT = 3.0

#: Seconds that the driver is told to wait; its client does not live that long.
_NEVER = 600.0


class OffsetStore:
    """
    Stores offsets under *group*. From any thread.

    Args:
        config: Of an admin client.
        group: Never empty.
    """

    def __init__(self, config: Config, group: str) -> None:
        # Nobody serves its callbacks, so what it would say must not pile up.
        self._config: Config = {**config, "log_level": 0}
        self._group = group
        self._admin: AdminClient | None = None
        self._closed = False
        self._mutex = threading.Lock()

    def store(self, offsets: Mapping[TopicPartition, int]) -> OffsetsResult:
        """Store *offsets*; ends within about 3 s and raises nothing."""
        if not offsets:
            return OffsetsResult()
        request = ConsumerGroupTopicPartitions(
            self._group,
            [
                DriverPartition(source.topic, source.partition, offset)
                for source, offset in offsets.items()
            ],
        )
        try:
            futures = self._client().alter_consumer_group_offsets([request], request_timeout=_NEVER)
            # Looked at, and not raised: see `filesync_confluent_kafka._asking`.
            problem = futures[self._group].exception(_TIMEOUT)
        except FutureTimeoutError:
            self._drop()
            return OffsetsResult(error=f"no answer within {_TIMEOUT:g} s")
        except (KafkaException, ValueError, TypeError) as exc:
            self._drop()
            return OffsetsResult(error=self._refusal(exc))
        if problem is not None:
            self._drop()
            return OffsetsResult(error=self._refusal(problem))
        stored = futures[self._group].result()
        for partition in stored.topic_partitions:
            if partition.error is not None:
                source = TopicPartition(partition.topic, partition.partition)
                return OffsetsResult(error=f"{source}: {text_of(partition.error)}")
        return OffsetsResult()

    def close(self) -> None:
        """Let the client go; a `store` that runs ends by itself."""
        self._closed = True
        self._drop()

    def _client(self) -> AdminClient:
        with self._mutex:
            if self._closed:
                raise ValueError("the transport is closed")
            if self._admin is None:
                self._admin = AdminClient(self._config)
            return self._admin

    def _drop(self) -> None:
        with self._mutex:
            self._admin = None

    def _refusal(self, exc: BaseException) -> str:
        error = exc.args[0] if exc.args else None
        match error.name() if isinstance(error, KafkaError) else "":
            case "GROUP_AUTHORIZATION_FAILED":
                return f"no right on the group {self._group!r}: grant us READ on it"
            case "UNKNOWN_MEMBER_ID" | "NON_EMPTY_GROUP":
                return f"the group {self._group!r} has members: set another kafka.group"
            case _:
                return text_of(exc)
