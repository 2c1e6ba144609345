"""How messages become records: in slices, and never one header twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import define

from filesync import TopicPartition
from filesync.transport import Unreadable
from support.promises import is_promised

if not is_promised("confluent-kafka", "confluent_kafka"):
    pytest.skip("this environment does not promise confluent-kafka", allow_module_level=True)

from confluent_kafka import KafkaError

from filesync_confluent_kafka._records import Haul, take

_SOURCE = TopicPartition("zones", 0)
_MIB = 1024 * 1024


@define
class _Message:
    """What `confluent_kafka.Message` is to us."""

    at: int
    content: bytes | None = b"value"
    header_list: Sequence[tuple[str, bytes | None]] | None = (("name", b""),)
    problem: KafkaError | None = None
    broken: bool = False
    when: tuple[int, int] = (1, 1500)

    def __len__(self) -> int:
        return len(self.content or b"")

    def key(self) -> bytes | None:
        return b"%d" % self.at

    def value(self) -> bytes | None:
        return self.content

    def headers(self) -> Sequence[tuple[str, bytes | None]] | None:
        if self.broken:
            self.broken = False  # The second call would end the process.
            raise SystemError("headers") from UnicodeDecodeError("utf-8", b"\xff", 0, 1, "start")
        return self.header_list

    def error(self) -> KafkaError | None:
        return self.problem

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def timestamp(self) -> tuple[int, int]:
        return self.when


class _Queue:
    """Messages that wait; notes how many were asked for at once."""

    def __init__(self, messages: Sequence[_Message]) -> None:
        self.messages = list(messages)
        self.asked: list[int] = []

    def consume(self, number: int, timeout: float) -> list[_Message]:
        assert timeout == 0
        self.asked.append(number)
        taken, self.messages = self.messages[:number], self.messages[number:]
        return taken


def _take(
    messages: Sequence[_Message], *, max_records: int = 500, wanted: bool = True
) -> tuple[Haul, _Queue]:
    queue = _Queue(messages[1:])
    first: Any = messages[0]
    consume: Any = queue.consume
    haul = take(first, consume, {0: _SOURCE}, max_records, lambda _key, _headers: wanted)
    return haul, queue


def test_records_are_taken_in_slices() -> None:
    """And until there are no more."""
    haul, queue = _take([_Message(at) for at in range(200)])

    assert [record.offset for record in haul.records] == list(range(200))
    assert max(queue.asked) == 64


def test_no_more_is_taken_than_was_asked_for() -> None:
    """What is not wanted counts as well."""
    haul, queue = _take([_Message(at) for at in range(200)], max_records=100, wanted=False)

    assert haul.passed_over == 100
    assert len(queue.messages) == 100


def test_large_records_are_taken_a_few_at_a_time() -> None:
    """Until there are enough of them; those that are not wanted are never enough."""
    value = bytes(_MIB)
    messages = [_Message(at, content=value) for at in range(20)]

    haul, queue = _take(messages)
    assert 4 <= len(haul.records) <= 6
    assert max(queue.asked) <= 2

    haul, queue = _take(messages, wanted=False)
    assert haul.passed_over == 20
    assert max(queue.asked) <= 2


def test_a_timestamp_is_seconds_or_none() -> None:
    """Kind 0 is the driver's word for none."""
    haul, _ = _take([_Message(0, when=(1, 1500)), _Message(1, when=(0, -1))])

    assert [record.timestamp for record in haul.records] == [1.5, None]


def test_errors_are_set_aside() -> None:
    """They have no headers, as some records have none."""
    error = KafkaError(KafkaError._PARTITION_EOF)
    messages = [
        _Message(0, header_list=None),
        _Message(7, header_list=None, problem=error),
        _Message(1),
    ]

    haul, _ = _take(messages)

    assert [(record.offset, list(record.headers)) for record in haul.records] == [
        (0, []),
        (1, [("name", b"")]),
    ]
    assert haul.errors == [(error, 0, 7)]


def test_broken_headers_cost_one_record_each() -> None:
    """And are asked for once: the second time the driver returns a list with a hole in it."""
    haul, _ = _take([_Message(at, broken=at in {0, 2, 3, 5}) for at in range(6)])

    assert [record.offset for record in haul.records] == [1, 4]
    told = [each for each in haul.faults if isinstance(each, Unreadable)]
    assert [each.offset for each in told] == [0, 2, 3, 5]
    assert "utf-8" in told[0].why
    assert haul.passed_over == 0
