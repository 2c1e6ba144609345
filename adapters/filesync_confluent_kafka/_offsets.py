"""
Tells the broker how far reading has come, for lag tools.

Not with the reading client: its commit has no time-out, and can wait as long
as a broker is away.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as DriverPartition
from confluent_kafka.admin import AdminClient

from filesync import TopicPartition
from filesync.transport import OffsetsResult
from filesync_confluent_kafka._causes import text_of

__all__ = ["store_offsets"]

#: Seconds that the driver gives the broker, and what it may be late itself.
_TIMEOUT, _GRACE = 3.0, 0.5


def store_offsets(
    admin: AdminClient, group: str, offsets: Mapping[TopicPartition, int]
) -> OffsetsResult:
    """Store *offsets* under *group*; ends within 3.5 s and raises nothing."""
    if not offsets:
        return OffsetsResult()
    request = ConsumerGroupTopicPartitions(
        group,
        [
            DriverPartition(source.topic, source.partition, offset)
            for source, offset in offsets.items()
        ],
    )
    try:
        futures = admin.alter_consumer_group_offsets([request], request_timeout=_TIMEOUT)
        stored = futures[group].result(_TIMEOUT + _GRACE)
    except FutureTimeoutError:
        return OffsetsResult(error=f"no answer within {_TIMEOUT + _GRACE:g} s")
    except (KafkaException, ValueError, TypeError) as exc:
        return OffsetsResult(error=_refusal(exc, group))
    for partition in stored.topic_partitions:
        if partition.error is not None:
            source = TopicPartition(partition.topic, partition.partition)
            return OffsetsResult(error=f"{source}: {text_of(partition.error)}")
    return OffsetsResult()


def _refusal(exc: Exception, group: str) -> str:
    error = exc.args[0] if exc.args else None
    match error.name() if isinstance(error, KafkaError) else "":
        case "GROUP_AUTHORIZATION_FAILED":
            return f"no right on the group {group!r}: grant us READ on it"
        case "UNKNOWN_MEMBER_ID" | "NON_EMPTY_GROUP":
            return f"the group {group!r} has members: set another kafka.group"
        case _:
            return text_of(exc)
