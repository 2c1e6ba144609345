"""
The publisher's decisions: which chunk is sent next, and what became of each transfer.

Theory. Every file goes to every host as a transfer of its own. A host gets its
data files first; its configurations follow when all of them are acknowledged,
and not at all if one of them is not: a configuration may name what never came.
A transfer of which one record is not acknowledged is given up; what was sent of
it misses a chunk, so that no receiver takes it for a file. Chunks of several
transfers are under way at once, in bounded number and size, but a partition
gets those of one transfer in order.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable

from attrs import Factory, define

from filesync._model import Claims, Kind, TopicPartition
from filesync._splitter import chunk_count, chunk_range
from filesync._values import frozen
from filesync.exceptions import InvalidTransitionError

__all__ = ["Parting", "SendChunk", "Sending", "Shipment", "ShipmentEnded"]

_ANEW = "the topic was created anew while files were sent: send all of them again"


class Parting(enum.Enum):
    """How a shipment ended."""

    #: Every record of it is acknowledged.
    SENT = "sent"
    #: A record is not acknowledged, or the file cannot be read.
    FAILED = "failed"
    #: It was not begun: a data file for the same host was not sent, or is lost.
    WITHHELD = "withheld"
    #: The publisher was asked to stop.
    CANCELLED = "cancelled"


@frozen(kw_only=True)
class Shipment:
    """
    One file for one host.

    Attributes:
        hostname: Whose it is.
        name: The file's name, as receivers see it.
        kind: Data goes first.
        size: Bytes of the file.
        chunk_bytes: Bytes of every chunk but the last one.
        claims: Of the transfer; the last chunk adds the digest.

    Raises:
        ValueError: *size* is below 0 or *chunk_bytes* below 1.
    """

    hostname: str
    name: str
    kind: Kind
    size: int
    chunk_bytes: int
    claims: Claims

    def __attrs_post_init__(self) -> None:
        chunk_count(self.size, self.chunk_bytes)

    @property
    def count(self) -> int:
        """Chunks of it, at least one."""
        return chunk_count(self.size, self.chunk_bytes)

    def __str__(self) -> str:
        return f"{self.name} to {self.hostname}"


@frozen(kw_only=True)
class SendChunk:
    """
    Send one chunk.

    Attributes:
        ticket: What `Sending` is told of it carries this number.
        shipment: Of which.
        index: Which chunk, from 0.
        start, stop: Which bytes of the file.
    """

    ticket: int
    shipment: Shipment
    index: int
    start: int
    stop: int

    @property
    def is_last(self) -> bool:
        """Whether it ends its file, and so carries the digest."""
        return self.index + 1 == self.shipment.count


@frozen(kw_only=True)
class ShipmentEnded:
    """
    What became of one file for one host.

    Attributes:
        shipment: Which.
        parting: How it ended.
        detail: One line; empty when it was sent.
    """

    shipment: Shipment
    parting: Parting
    detail: str = ""

    def __str__(self) -> str:
        told = f"{self.shipment}: {self.parting.value}"
        return f"{told}: {self.detail}" if self.detail else told


@define(eq=False)
class _Underway:
    """A shipment without an end; *sent* chunks were handed out, *acknowledged* came back."""

    shipment: Shipment
    sent: int = 0
    acknowledged: int = 0
    ended: bool = False


@define
class _Host:
    """
    What one host still waits for.

    Attributes:
        data: Data files without an end.
        lost: Why its configurations are withheld.
        reached: Whether the log has a chunk of its data.
        configurations: They follow.
    """

    data: int = 0
    lost: str | None = None
    reached: bool = False
    configurations: list[_Underway] = Factory(list)


class Sending:
    """
    Sends *shipments*, in their order but for configurations, which follow their host's data.

    Args:
        shipments: One for each file and host.
        window_bytes: Bytes that may be unacknowledged; one chunk may exceed them.
        window_records: Records that may be unacknowledged, at least 1.
        after: Tickets are larger than this one; what is told of others, which
            somebody used before, says nothing.

    Raises:
        ValueError: *window_records* is below 1.
    """

    def __init__(
        self,
        shipments: Iterable[Shipment],
        *,
        window_bytes: int = 32 * 1024 * 1024,
        window_records: int = 10_000,
        after: int = 0,
    ) -> None:
        if window_records < 1:
            raise ValueError("at least one record must be on its way, or nothing ever is")
        self._window_bytes = window_bytes
        self._window_records = window_records
        self._ready: deque[_Underway] = deque()
        self._hosts: dict[str, _Host] = {}
        # With how often something had been acknowledged when it was handed out.
        self._tickets: dict[int, tuple[_Underway, SendChunk, int]] = {}
        self._acknowledgements = 0
        # By partition, of what was handed out after the ticket at which the topic was lost.
        self._highest: dict[TopicPartition, int] = {}
        self._lost_at = after
        self._open: dict[int, _Underway] = {}
        self._after = self._ticket = after
        self._unacknowledged = 0
        self.total_bytes = 0
        self.acknowledged_bytes = 0
        for shipment in shipments:
            self._take(_Underway(shipment))
        for host in self._hosts.values():
            if not host.data:
                self._ready.extend(host.configurations)

    def _take(self, underway: _Underway) -> None:
        shipment = underway.shipment
        self.total_bytes += shipment.size
        self._open[id(underway)] = underway
        host = self._hosts.setdefault(shipment.hostname, _Host())
        if shipment.kind is Kind.DATA:
            host.data += 1
            self._ready.append(underway)
        else:
            host.configurations.append(underway)

    @property
    def finished(self) -> bool:
        """Whether every shipment has an end."""
        return not self._open

    @property
    def last_ticket(self) -> int:
        """The last one that was used."""
        return self._ticket

    @property
    def unacknowledged(self) -> int:
        """Records that were handed out and of which nothing was heard."""
        return len(self._tickets)

    def next(self) -> SendChunk | None:
        """Return what to send now; None: something must be acknowledged first, or all is done."""
        while self._ready and self._ready[0].ended:
            self._ready.popleft()
        if not self._ready or len(self._tickets) >= self._window_records:
            return None
        underway = self._ready[0]
        shipment = underway.shipment
        start, stop = chunk_range(underway.sent, shipment.size, shipment.chunk_bytes)
        if self._tickets and self._unacknowledged + stop - start > self._window_bytes:
            return None
        self._ticket += 1
        order = SendChunk(
            ticket=self._ticket, shipment=shipment, index=underway.sent, start=start, stop=stop
        )
        self._tickets[order.ticket] = underway, order, self._acknowledgements
        self._unacknowledged += stop - start
        underway.sent += 1
        if underway.sent == shipment.count:
            self._ready.popleft()
        return order

    def acknowledged(
        self, ticket: int, source: TopicPartition | None = None, offset: int = -1
    ) -> list[ShipmentEnded]:
        """
        The log has the record of *ticket*; return what ended with it.

        Args:
            ticket: Of the record.
            source: In which partition it is; None: nobody told.
            offset: And where there; -1: nobody told.

        Raises:
            InvalidTransitionError: That ticket is not under way.
        """
        if ticket <= self._after:
            return []
        underway, order, _ = self._settle(ticket)
        self._acknowledgements += 1
        self.acknowledged_bytes += order.stop - order.start
        underway.acknowledged += 1
        ended = self._note(ticket, source, offset)
        if order.shipment.kind is Kind.DATA:
            self._hosts[order.shipment.hostname].reached = True
        if not underway.ended and underway.acknowledged == underway.shipment.count:
            ended += self._end(underway, Parting.SENT)
        return ended

    def failed(self, ticket: int, why: str, *, overdue: bool = False) -> list[ShipmentEnded]:
        """
        The record of *ticket* is not acknowledged, and will not be; return what ended.

        Args:
            ticket: Of the record.
            why: One line.
            overdue: Whether nothing was heard of it in the whole of its time.

        Raises:
            InvalidTransitionError: That ticket is not under way.
        """
        if ticket <= self._after:
            return []
        underway, order, before = self._settle(ticket)
        ended = []
        if not underway.ended:
            count = underway.shipment.count
            detail = f"chunk {order.index + 1} of {count}: {why}" if count > 1 else why
            ended = self._end(underway, Parting.FAILED, detail)
        if overdue and before == self._acknowledgements:
            ended += self._fail(list(self._open.values()), why)
        return ended

    def topic_lost(self, why: str) -> list[ShipmentEnded]:
        """
        What was acknowledged until now is in no log that anybody reads; return what ended.

        What was not begun goes on, except for the configurations of hosts whose data is lost.
        """
        self._highest.clear()
        self._lost_at = self._ticket
        ended = self._fail([each for each in self._open.values() if each.sent], why)
        for host in self._hosts.values():
            if host.reached:
                host.lost = why
                if not host.data:
                    ended += self._withhold(host)
        return ended

    def cancel(self) -> list[ShipmentEnded]:
        """Hand out nothing any more; return what became of all that had no end."""
        ended = []
        for underway in list(self._open.values()):
            count = underway.shipment.count
            if not underway.sent:
                detail = "nothing of it was sent"
            elif underway.sent < count:
                detail = (
                    f"chunk {underway.sent + 1} of {count} was not sent: it cannot become whole"
                )
            else:
                detail = "all of it was under way: it may have arrived"
            ended.append(self._close(underway, Parting.CANCELLED, detail))
        return ended

    def _settle(self, ticket: int) -> tuple[_Underway, SendChunk, int]:
        if ticket not in self._tickets:
            raise InvalidTransitionError(f"ticket {ticket} is not under way")
        settled = self._tickets.pop(ticket)
        order = settled[1]
        self._unacknowledged -= order.stop - order.start
        return settled

    def _note(self, ticket: int, source: TopicPartition | None, offset: int) -> list[ShipmentEnded]:
        """Note where a record is; return what ended because it should be elsewhere."""
        if source is None or offset < 0 or ticket <= self._lost_at:
            return []
        if offset <= self._highest.get(source, -1):
            return self.topic_lost(_ANEW)
        self._highest[source] = offset
        return []

    def _fail(self, these: Iterable[_Underway], why: str) -> list[ShipmentEnded]:
        """End *these*; data first, since configurations may be withheld with it."""
        ended: list[ShipmentEnded] = []
        for underway in sorted(these, key=lambda each: each.shipment.kind is not Kind.DATA):
            if not underway.ended:
                ended += self._end(underway, Parting.FAILED, why)
        return ended

    def _close(self, underway: _Underway, parting: Parting, detail: str) -> ShipmentEnded:
        underway.ended = True
        del self._open[id(underway)]
        return ShipmentEnded(shipment=underway.shipment, parting=parting, detail=detail)

    def _end(self, underway: _Underway, parting: Parting, detail: str = "") -> list[ShipmentEnded]:
        ended = [self._close(underway, parting, detail)]
        shipment = underway.shipment
        if shipment.kind is not Kind.DATA:
            return ended
        host = self._hosts[shipment.hostname]
        host.data -= 1
        if parting is not Parting.SENT and host.lost is None:
            host.lost = f"{shipment.name} was not sent"
        if host.data:
            return ended
        if host.lost is None:
            self._ready.extend(host.configurations)
            return ended
        return ended + self._withhold(host)

    def _withhold(self, host: _Host) -> list[ShipmentEnded]:
        waiting = [each for each in host.configurations if not each.ended]
        return [self._close(each, Parting.WITHHELD, host.lost or "") for each in waiting]
