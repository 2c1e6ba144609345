"""
The publisher: reads files, and hands their chunks to a producer.

::

    with Publisher(settings) as publisher:
        ended = publisher.publish([FileToSend("block.rpz")], to=["ns1.example"])

Everything is checked before the first record is sent. A file is read while it
is sent, once for each host, and its digest is that of the bytes that were sent:
it goes out with the last chunk. That one is kept back when the file was changed
meanwhile, so that no receiver puts two versions together.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, final

from attrs import define, evolve

from filesync._codec import encode_headers
from filesync._matching import comparable
from filesync._model import MAX_GENERATION, Claims, Kind
from filesync._names import Naming
from filesync._outcomes import HealthChanged
from filesync._sending import SendChunk, Sending, Shipment, ShipmentEnded
from filesync._setting_checks import hostname_problem
from filesync._settings import RouteBy, Settings
from filesync._splitter import DEFAULT_CHUNK_BYTES, chunk_count
from filesync._validation import check_configuration
from filesync._values import frozen
from filesync.exceptions import (
    InvalidConfigurationError,
    PublishError,
    RecordError,
    SettingValueError,
    TransportError,
)
from filesync.producer import (
    Acknowledged,
    Delivery,
    NotDelivered,
    Outgoing,
    Producer,
    TopicLost,
    open_producer,
)
from filesync.runtime._opened import Opened

__all__ = ["FileToSend", "Publisher"]

#: Seconds that the producer is waited for at once; `cancel` is noticed within them.
_SLICE = 0.2

#: Seconds that closing may take.
_CLOSE_TIMEOUT = 5.0

_CHANGED = "the file was changed while it was sent; send it again, and replace files by renaming"


@frozen
class FileToSend:
    """
    A file to publish.

    Attributes:
        path: Where it is.
        name: What receivers call it, relative to their files-dir; empty: the
            last part of *path*.
    """

    path: str
    name: str = ""


@define(eq=False)
class _Planned:
    """An open file, and what receivers make of it."""

    opened: Opened
    name: str
    kind: Kind


@final
class Publisher:
    """
    Sends files to hosts; also a context manager.

    Owned by one thread, but for `cancel`. It creates no topic.

    Args:
        settings: Where the log is, and what receivers take: `Settings.files`
            and `Settings.limits` should be theirs.
        producer: What records are sent with; None: as the settings say.
        tell: Is handed what becomes of each file for each host, and whether
            the log can be reached, as it happens. It must not raise.
        progress: Is handed, several times a second, how many bytes the log
            has, and of how many: every file counts once for each host. It
            must not raise.
        chunk_bytes: Bytes of every chunk but the last one of a file.
        timeout: Seconds that the topic, and the acknowledgement of a record,
            are waited for.

    Raises:
        TransportError: The producer cannot be set up as the settings say.
        ValueError: *chunk_bytes* or *timeout* is out of range.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        producer: Producer | None = None,
        tell: Callable[[ShipmentEnded | HealthChanged], None] | None = None,
        progress: Callable[[int, int], None] | None = None,
        chunk_bytes: int = DEFAULT_CHUNK_BYTES,
        timeout: float = 60.0,
    ) -> None:
        if not 1 <= chunk_bytes <= settings.limits.chunk_bytes:
            raise ValueError(
                f"chunks of {chunk_bytes} bytes: receivers take 1 to {settings.limits.chunk_bytes}"
            )
        if not 1 <= timeout <= 86400:
            raise ValueError(f"a time-out of {timeout:g} s is not from 1 s to a day")
        self._settings = settings
        self._by_zone = settings.route_by is RouteBy.ZONE_ID
        self._naming = Naming(files_dir=settings.kafka.files_dir, rules=settings.files)
        self._producer = producer or open_producer(settings.driver, settings, timeout=timeout)
        self._tell = tell or (lambda _told: None)
        self._progress = progress or (lambda _acknowledged, _total: None)
        self._chunk_bytes = chunk_bytes
        self._timeout = timeout
        self._sending = Sending([])
        self._digests: dict[str | None, Any] = {}
        self._files: dict[str, _Planned] = {}
        self._clocked = -1  # The last generation that the clock gave.
        self._started = self._cancelled = False
        self._health = ""

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """
        Start the producer, which waits for no broker; `publish` does it if need be.

        Raises:
            TransportError: It cannot start as it is configured.
        """
        if not self._started:
            self._producer.start()
            self._started = True
            self._health = self._producer.health().cause

    def check(
        self, files: Iterable[FileToSend], to: Iterable[str], *, generation: int | None = None
    ) -> list[Shipment]:
        """
        Return what `publish` would send, without sending it.

        Raises:
            PublishError: Something cannot be sent; nothing would be.
        """
        with contextlib.ExitStack() as stack:
            return self._plan(list(files), list(to), generation, stack)

    def publish(
        self,
        files: Iterable[FileToSend],
        to: Iterable[str],
        *,
        generation: int | None = None,
        planned: Callable[[list[Shipment]], None] | None = None,
    ) -> list[ShipmentEnded]:
        """
        Send every file to every host; return what became of each, in the order of the ends.

        Args:
            files: Different names; of each host data is acknowledged before
                its configuration is sent. In a topic with several partitions
                a receiver may read it first nevertheless.
            to: Host names; where routing is by zone id, zone ids.
            generation: Orders the versions of a file, the larger one is
                newer; None: milliseconds since 1970.
            planned: Is handed what will be sent, before any of it is.

        Raises:
            PublishError: Something cannot be sent; nothing was.
            TransportError: The topic cannot be reached in time; nothing was
                sent. Or the producer is of no more use.
        """
        with contextlib.ExitStack() as stack:
            shipments = self._plan(
                list(files), list(to), generation, stack, lambda: self._cancelled
            )
            if planned is not None:
                planned(shipments)
            self.open()
            self._wait_for_topic()
            # Of what failed before records may still be under way.
            self._sending = Sending(shipments, after=self._sending.last_ticket)
            return list(self._send())

    def cancel(self) -> None:
        """Have this `publish`, and each later one, return soon. From any thread."""
        self._cancelled = True

    def close(self) -> None:
        """End the producer. Closing twice is fine."""
        if self._started:
            self._producer.close(_CLOSE_TIMEOUT)

    # -- Before -------------------------------------------------------------

    def _plan(
        self,
        files: Sequence[FileToSend],
        to: Sequence[str],
        generation: int | None,
        stack: contextlib.ExitStack,
        hasty: Callable[[], bool] = lambda: False,
    ) -> list[Shipment]:
        """Check all, and return what there is to send; *hasty*: no time for configurations."""
        self._files = {}
        for file in files:
            planned = self._open(file, stack)
            if planned.name in self._files:
                raise PublishError(f"{file.path}: another file has the name {planned.name!r}")
            self._files[planned.name] = planned
            if planned.kind is Kind.CONFIG and not hasty():
                self._check_configuration(planned)
        if generation is None:
            generation = self._clocked = max(int(time.time() * 1000), self._clocked + 1)
        if not 0 <= generation <= MAX_GENERATION:
            raise PublishError(f"a generation is 0 to {MAX_GENERATION}, not {generation}")
        recipients = _zones(to, self._settings) if self._by_zone else _hosts(to)
        if not recipients or not self._files:
            raise PublishError("nothing to send, or nobody to send it to")
        return [
            Shipment(
                hostname=hostname,
                name=planned.name,
                kind=planned.kind,
                size=planned.opened.size,
                chunk_bytes=self._chunk_bytes,
                claims=Claims(
                    transfer_id=uuid.uuid4().hex,
                    size=planned.opened.size,
                    generation=generation,
                ),
            )
            for planned in sorted(
                self._files.values(), key=lambda planned: planned.kind is Kind.CONFIG
            )
            for hostname in recipients
        ]

    def _open(self, file: FileToSend, stack: contextlib.ExitStack) -> _Planned:
        limits = self._settings.limits
        opened = Opened(file.path, stack)
        name = file.name or os.path.basename(file.path)
        try:
            target = self._naming.target(name)
        except RecordError as exc:
            raise PublishError(f"{file.path}: receivers refuse the name {name!r}: {exc}") from exc
        count = chunk_count(opened.size, self._chunk_bytes)
        if opened.size > limits.file_bytes:
            raise PublishError(
                f"{file.path}: {opened.size} bytes; receivers take {limits.file_bytes} "
                "(filesync.limits.file-bytes)"
            )
        if count > limits.chunks_per_file:
            raise PublishError(
                f"{file.path}: {count} chunks; receivers take {limits.chunks_per_file} "
                "(filesync.limits.chunks-per-file): send larger chunks"
            )
        return _Planned(opened, target.name, target.kind)

    def _check_configuration(self, planned: _Planned) -> None:
        limits, opened = self._settings.limits, planned.opened
        data = opened.read(0, min(opened.size, limits.config_bytes + 1))
        try:
            check_configuration(
                planned.name,
                data or b"",
                max_bytes=limits.config_bytes,
                max_depth=limits.config_depth,
            )
        except InvalidConfigurationError as exc:
            raise PublishError(f"{opened.path}: receivers would refuse it: {exc}") from exc

    def _wait_for_topic(self) -> None:
        deadline = time.monotonic() + self._timeout
        while not self._producer.health().up and not self._cancelled:
            if time.monotonic() >= deadline:
                cause = self._producer.health().cause
                raise TransportError(
                    f"nothing was published: {cause} (after {self._timeout:g} s)", retriable=True
                )
            self._producer.poll(_SLICE)
            self._tell_health()
        self._tell_health()

    # -- Sending ------------------------------------------------------------

    def _send(self) -> Iterator[ShipmentEnded]:
        sending = self._sending
        self._digests = {}
        while not sending.finished:
            if self._cancelled:
                yield from self._told(sending.cancel())
                return
            while (order := sending.next()) is not None:
                why = self._send_chunk(order)
                if why is not None:
                    yield from self._told(sending.failed(order.ticket, why))
            for delivery in self._producer.poll(_SLICE) if sending.unacknowledged else ():
                yield from self._told(self._heed(delivery))
            self._tell_health()
            self._progress(sending.acknowledged_bytes, sending.total_bytes)

    def _send_chunk(self, order: SendChunk) -> str | None:
        """Send one chunk; return why it cannot be sent, if so."""
        shipment, opened = order.shipment, self._files[order.shipment.name].opened
        try:
            data = opened.read(order.start, order.stop)
        except OSError as exc:
            return f"{opened.path} cannot be read: {exc.strerror}"
        if data is None:
            return _CHANGED
        claims = shipment.claims
        sha256 = self._digests.setdefault(claims.transfer_id, hashlib.sha256())
        sha256.update(data)
        if order.is_last:
            if not opened.unchanged:
                return _CHANGED
            claims = evolve(claims, digest=self._digests.pop(claims.transfer_id).digest())
        headers = encode_headers(
            hostname=shipment.hostname,
            name=shipment.name,
            index=order.index,
            count=shipment.count,
            claims=claims,
        )
        key = shipment.hostname if self._by_zone else shipment.name
        self._producer.send(Outgoing(order.ticket, key.encode(), data, headers))
        return None

    def _heed(self, delivery: Delivery) -> list[ShipmentEnded]:
        sending = self._sending
        match delivery:
            case Acknowledged(ticket=ticket, source=source, offset=offset):
                return sending.acknowledged(ticket, source, offset)
            case NotDelivered(ticket=ticket, why=why, overdue=overdue):
                return sending.failed(ticket, why, overdue=overdue)
            case TopicLost(why=why):
                return sending.topic_lost(why)

    def _told(self, ended: list[ShipmentEnded]) -> list[ShipmentEnded]:
        for each in ended:
            self._tell(each)
        return ended

    def _tell_health(self) -> None:
        health = self._producer.health()
        if health.cause != self._health:
            self._health = health.cause
            self._tell(HealthChanged(up=health.up, detail=health.cause))


def _hosts(to: Iterable[str]) -> list[str]:
    """Return the hosts, each once."""
    hosts: dict[bytes, str] = {}
    for word in to:
        hostname = word.removesuffix(".")
        problem = hostname_problem(hostname)
        if problem is not None:
            raise PublishError(f"whom to send to {problem}")
        hosts.setdefault(comparable(hostname.encode()), hostname)
    return list(hosts.values())


def _zones(to: Iterable[str], settings: Settings) -> list[str]:
    """Return the zone ids, each once."""
    zones = list(dict.fromkeys(to))
    try:
        for zone in zones:
            evolve(settings, zone_id=zone)
    except SettingValueError as exc:
        raise PublishError(f"whom to send to {exc.problem}") from exc
    return zones
