"""
Messages in, records out: the hot loop.

Theory. Most records are for other hosts, so a record that is not wanted costs
a look at its key and headers and nothing else. Three things make it quick.
Headers are fetched by C code in C code. Whether a message is an error is asked
only where there are no headers, since errors have none. And messages are taken
in slices that fit into the processor's cache: 64 at a time a small record
costs three quarters of what it costs 500 at a time.

Slices of large records are smaller, so that memory stays small: what was taken
is released before more is taken, and taking ends when enough is wanted.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from attrs import Factory, define
from confluent_kafka import KafkaError

from filesync import Record, TopicPartition
from filesync._model import Headers
from filesync.transport import Fault, Matcher, Unreadable

__all__ = ["Haul", "take"]

#: A `confluent_kafka.Message`, whose stubs differ from release to release.
_Message = Any

#: Messages that are taken at once.
_SLICE = 64

#: Bytes that are taken at once, as far as the last message tells.
_SLICE_BYTES = 2 * 1024 * 1024

#: Bytes of wanted values with which a poll is content.
_ENOUGH_BYTES = 4 * 1024 * 1024

#: The driver's kind of a timestamp that is none.
_NO_TIMESTAMP = 0

# Called directly, `headers` ends the process at a header name that is not
# UTF-8: it returns a broken list beside an exception, and the interpreter's
# fast path for methods does not look. For the same reason it must never be
# called a second time on one message.
_headers: Callable[[Any], Any] = operator.methodcaller("headers")


@define
class Haul:
    """
    What one poll has taken so far.

    Attributes:
        records: Those that were wanted.
        passed_over: How many were not.
        faults: Records that cannot be decoded.
        errors: What the driver told in place of records, with where it was.
        size: Bytes of the wanted values.
    """

    records: list[Record] = Factory(list)
    passed_over: int = 0
    faults: list[Fault] = Factory(list)
    errors: list[tuple[KafkaError, int, int | None]] = Factory(list)
    size: int = 0


def take(
    first: _Message,
    consume: Callable[[int, float], Sequence[_Message]],
    sources: Mapping[int, TopicPartition],
    max_records: int,
    wanted: Matcher,
) -> Haul:
    """
    Sort *first* and what is there behind it, at most *max_records*.

    Args:
        first: A message that was polled.
        consume: Takes up to so many messages, and waits at most so long.
        sources: By number, the partitions that are read.
        max_records: At least 1.
        wanted: Says from key and headers whether a record is worth building.
    """
    haul = Haul()
    messages: Sequence[_Message] = [first]
    left = max_records
    while messages:
        left -= len(messages)
        size = len(messages[-1])
        _sort(messages, sources, wanted, haul)
        if left <= 0 or haul.size >= _ENOUGH_BYTES:
            break
        del messages  # Released before more is taken.
        messages = consume(min(left, _SLICE, _SLICE_BYTES // (size + 1) + 1), 0)
    return haul


def _sort(
    messages: Sequence[_Message],
    sources: Mapping[int, TopicPartition],
    wanted: Matcher,
    haul: Haul,
) -> None:
    headers = _headers_of(messages, sources, haul)
    if not all(headers):
        messages, headers = _sound(messages, headers, haul)
    built = len(haul.records)
    for message, its_headers in zip(messages, headers, strict=True):
        if wanted(message.key(), its_headers):
            haul.records.append(_record(message, its_headers, sources))
            haul.size += len(message)
    haul.passed_over += len(messages) - (len(haul.records) - built)


def _headers_of(
    messages: Sequence[_Message], sources: Mapping[int, TopicPartition], haul: Haul
) -> list[Any]:
    """Return the headers of each message, None where it has none, False where they are broken."""
    headers: list[Any] = []
    rest = iter(messages)
    while (problem := _fetch_headers(rest, headers)) is not None:
        broken = messages[len(headers)]
        headers.append(False)
        haul.faults.append(
            Unreadable(
                source=sources[broken.partition()],
                offset=broken.offset(),
                why=f"its headers cannot be decoded: {problem}",
            )
        )
    return headers


def _fetch_headers(messages: Iterator[_Message], headers: list[Any]) -> str | None:
    """Add to *headers* until there are no *messages*, or one is broken: return why."""
    try:
        # What was fetched before an exception stays in the list.
        headers.extend(map(_headers, messages))
    except SystemError as exc:
        return str(exc.__cause__ or exc)
    return None


def _sound(
    messages: Sequence[_Message], headers: Sequence[Any], haul: Haul
) -> tuple[list[_Message], list[Any]]:
    """Return the messages that are records, and their headers; note the others."""
    sound: list[_Message] = []
    theirs: list[Any] = []
    for message, its_headers in zip(messages, headers, strict=True):
        if its_headers is False:
            continue
        if not its_headers and (error := message.error()) is not None:
            haul.errors.append((error, message.partition(), message.offset()))
            continue
        sound.append(message)
        theirs.append(its_headers or ())
    return sound, theirs


def _record(message: _Message, headers: Headers, sources: Mapping[int, TopicPartition]) -> Record:
    kind, milliseconds = message.timestamp()
    return Record(
        sources[message.partition()],
        message.offset(),
        None if kind == _NO_TIMESTAMP else milliseconds / 1000,
        message.key(),
        message.value(),
        headers,
    )
