"""
Where records go to: the sending half of a driver.

Only the publisher has one: whoever receives sends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from filesync._lookup import load_adapter
from filesync._model import TopicPartition
from filesync._values import frozen
from filesync.transport import Health

__all__ = [
    "Acknowledged",
    "Delivery",
    "NotDelivered",
    "Outgoing",
    "Producer",
    "TopicLost",
    "open_producer",
]


class Outgoing(NamedTuple):
    """
    One record to send.

    Attributes:
        ticket: Names it in its `Delivery`; a number is used once.
        key: Decides the partition, by ``murmur2``, the same with every driver.
        value: The bytes.
        headers: In order.
    """

    ticket: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@frozen(kw_only=True)
class Acknowledged:
    """
    The log has a record, on all replicas that are in sync.

    The topic's ``min.insync.replicas`` says how many these are at least.

    Attributes:
        ticket: Of the record.
        source: In which partition it is.
        offset: And where there; -1: the driver was not told.
    """

    ticket: int
    source: TopicPartition
    offset: int


@frozen(kw_only=True)
class NotDelivered:
    """
    A record was not acknowledged in time, or refused; it may be in the log nevertheless.

    Attributes:
        ticket: Of the record.
        why: One line: what is wrong and what to do.
        overdue: Whether nothing was heard of it in, nearly, the whole of its time.
    """

    ticket: int
    why: str
    overdue: bool = False


@frozen(kw_only=True)
class TopicLost:
    """
    The topic, or a partition of it, was deleted: what was acknowledged before is lost.

    It stands before the `NotDelivered` of what was under way.

    Attributes:
        why: One line: what is wrong and what to do.
    """

    why: str


Delivery = Acknowledged | NotDelivered | TopicLost


class Producer(Protocol):
    """
    Sends records to one topic: idempotent, in order per partition, acknowledged by all in sync.

    Owned by one thread. It creates no topic: until the topic was seen `health`
    is not up, and nothing may be sent. Weather is told by `health`, never
    raised; a driver's own exceptions never escape.
    """

    def start(self) -> None:
        """Begin. Waits for no broker: a bad configuration raises, weather does not."""

    def send(self, record: Outgoing) -> None:
        """
        Take *record*, without waiting.

        Exactly one `Acknowledged` or `NotDelivered` of it comes from a later
        `poll`, in bounded time.
        How much is under way is bounded by whoever sends.
        """

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """
        Return what became of records within *timeout* seconds; at once when something did.

        Those of one partition are acknowledged in their order. A `TopicLost`
        comes when the producer notices that, which may be late, or never.
        """

    def health(self) -> Health:
        """Tell whether the log can be reached. Free: asks nobody."""

    def close(self, timeout: float) -> None:
        """End within *timeout*; what is not acknowledged yet is given up. Twice is fine."""


def open_producer(driver: str | None, settings: Any, *, timeout: float) -> Producer:
    """
    Return the producer that the installed packages know as *driver*.

    Args:
        driver: Name of an entry point in the group ``filesync.producers``;
            None takes the first, by name, whose driver is installed.
        settings: A `filesync.Settings`.
        timeout: Seconds that a record may wait for its acknowledgement.

    Raises:
        DriverMissingError: The driver is not installed; the message gives the
            pip command.
        TransportError: No adapter has that name.
    """
    producer: Producer = load_adapter("producer", driver)(settings, timeout=timeout)
    return producer
