"""
Fetched records in, ours out: the hot loop.

The driver decodes a record with all its parts before anybody can look at it,
so a record that is not wanted costs what it costs; here, a look more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import Factory, define

from filesync import Record, TopicPartition
from filesync.transport import Matcher

__all__ = ["Haul", "take"]

#: What the driver returns from a poll.
Batches = Mapping[Any, Sequence[Any]]


@define
class Haul:
    """
    What one poll has taken.

    Attributes:
        records: Those that were wanted.
        taken: How many there were.
        size: Bytes of all their values.
    """

    records: list[Record] = Factory(list)
    taken: int = 0
    size: int = 0


def take(batches: Batches, sources: Mapping[int, TopicPartition], wanted: Matcher) -> Haul:
    """
    Sort what was fetched.

    Args:
        batches: By partition, in the order of offsets.
        sources: By number, the partitions that are read.
        wanted: Says from key and headers whether a record is worth building.
    """
    haul = Haul()
    records = haul.records
    for partition, batch in batches.items():
        source = sources[partition.partition]
        haul.taken += len(batch)
        for record in batch:
            haul.size += record.serialized_value_size
            if wanted(record.key, record.headers):
                timestamp = record.timestamp
                records.append(
                    Record(
                        source,
                        record.offset,
                        # -1: it has none.
                        None if timestamp is None or timestamp < 0 else timestamp / 1000,
                        record.key,
                        record.value,
                        record.headers,
                    )
                )
    return haul
