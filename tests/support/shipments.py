"""Files on their way to the log, for the tests of what is sent, and in which order."""

from __future__ import annotations

from collections.abc import Iterable

from filesync._model import Claims
from filesync._sending import Parting, SendChunk, Sending, Shipment, ShipmentEnded
from support.pieces import target

__all__ = [
    "ANEW",
    "CANCELLED",
    "FAILED",
    "SENT",
    "WITHHELD",
    "handed_out",
    "names",
    "shipment",
    "told",
]

SENT, FAILED = Parting.SENT, Parting.FAILED
WITHHELD, CANCELLED = Parting.WITHHELD, Parting.CANCELLED

#: Why files fail when the topic is another one suddenly.
ANEW = "the topic was created anew while files were sent: send all of them again"


def shipment(
    name: str = "a.rpz", size: int = 1, *, hostname: str = "ns1", chunk_bytes: int = 2
) -> Shipment:
    """Return a file for a host; what ends in .yaml is configuration."""
    return Shipment(
        hostname=hostname,
        name=name,
        kind=target(name).kind,
        size=size,
        chunk_bytes=chunk_bytes,
        claims=Claims(transfer_id=f"{name} {hostname}", size=size),
    )


def handed_out(sending: Sending) -> list[SendChunk]:
    """Return all that may be sent now."""
    return list(iter(sending.next, None))


def told(ended: Iterable[ShipmentEnded]) -> list[str]:
    """Return what is said of shipments that ended."""
    return [str(each) for each in ended]


def names(orders: Iterable[SendChunk]) -> list[str]:
    """Return the files of chunks."""
    return [order.shipment.name for order in orders]
