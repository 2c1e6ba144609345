"""
The transport: a reading client, and admin clients for all that is not reading.

Theory. The reading client is assigned by hand and never commits: a commit can
hold it, and its close, for as long as a broker is away. What partitions there
are, and where they begin and end, an admin client is asked; a second one tells
the broker our offsets. All are asked only in ways that come back soon.

Callbacks of the driver run inside `poll`. None may raise: the driver would
throw away the records it has in hand.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as DriverPartition

from filesync import Settings, TopicPartition
from filesync.exceptions import TransportError
from filesync.transport import (
    Health,
    Matcher,
    OffsetsResult,
    Polled,
    Unreadable,
)
from filesync_confluent_kafka._asking import AdminAsker
from filesync_confluent_kafka._causes import refusal, suspicion, text_of
from filesync_confluent_kafka._clients import LOGGER, Clients, open_clients
from filesync_confluent_kafka._records import Haul, take
from filesync_kafka_common.causes import Cause, closed
from filesync_kafka_common.discovery import Discovery
from filesync_kafka_common.lookout import let_go_by
from filesync_kafka_common.renewal import Renewal
from filesync_kafka_common.weather import Layer, Weather

__all__ = ["ConfluentKafkaTransport"]

#: Times that no broker could be had, without a word why, after which they seem to close on us.
_GOODBYES = 2

#: Seconds that the old clients have to end.
_RENEW_TIMEOUT = 1.0


class ConfluentKafkaTransport:
    """
    Reads a topic with confluent-kafka; see `filesync.transport.Transport`.

    `wake` ends a running `poll` within 0.2 s.

    Args:
        settings: Where the log is.
        refresh: Seconds between two looks at the topic.
    """

    def __init__(self, settings: Settings, *, refresh: float = 30.0) -> None:
        self._settings = settings
        self._topic = settings.kafka.topic
        self._servers = ", ".join(settings.kafka.servers)
        self._refresh = refresh
        self._weather = Weather(self._servers)
        self._clients: Clients | None = None
        self._discovery: Discovery | None = None
        self._assigned: dict[TopicPartition, DriverPartition] = {}
        self._read: list[DriverPartition] = []
        self._sources: dict[int, TopicPartition] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._strays: set[TopicPartition] = set()
        self._ends: dict[TopicPartition, int] = {}
        self._goodbyes = 0
        self._explained = False
        self._fatal: str | None = None
        self._woken = False
        self._closed = False
        self._renewal = Renewal(settings)

    def start(self) -> None:
        """
        Begin. Waits for no broker.

        Raises:
            TransportError: An option, a file or a combination cannot be used.
        """
        if self._closed or self._clients is not None:
            raise TransportError("a transport is started once")
        self._clients = self._open()
        self._discovery = Discovery(
            self._asker(self._clients),
            self._topic,
            servers=self._servers,
            weather=self._weather,
            period=self._refresh,
        )

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """
        Return what arrived within *timeout*; at once when something did.

        Raises:
            TransportError: The transport is closed, or the driver gave up.
        """
        self._usable()
        if not self._weather.fair:
            self._renew()
        consumer, discovery = self._usable()
        deadline = time.monotonic() + timeout
        try:
            while True:
                faults = discovery.step()
                if faults:
                    self._unassign(list(let_go_by(faults, self._assigned)))
                    return Polled(faults=faults)
                left = deadline - time.monotonic()
                message = consumer.poll(discovery.patience(left))
                if message is not None:
                    haul = take(message, consumer.consume, self._sources, max_records, wanted)
                    polled = self._polled(consumer, haul)
                    if polled.records or polled.positions or polled.faults:
                        return polled
                if left <= 0 or self._woken or self._fatal:
                    self._woken = False
                    return Polled(positions=self._moved(consumer))
        except KafkaException as exc:
            raise TransportError(f"confluent-kafka failed: {text_of(exc)}") from exc

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """
        Read these partitions from these positions; leave the others alone.

        Raises:
            TransportError: A position is negative, or of another topic.
        """
        consumer, discovery = self._usable()
        for source, position in positions.items():
            if source.topic != self._topic or position < 0:
                raise TransportError(f"cannot read {source} from {position}")
        if not positions:
            return  # The driver would take a second for it.
        # `seek` fails after an error, and would leave what was fetched in the queue.
        fresh = {
            source: DriverPartition(source.topic, source.partition, position)
            for source, position in positions.items()
        }
        try:
            self._unassign([source for source in positions if source in self._assigned])
            consumer.incremental_assign(list(fresh.values()))
        except KafkaException as exc:
            raise TransportError(f"cannot assign partitions: {text_of(exc)}") from exc
        for source, position in positions.items():
            self._sources[source.partition] = source
            self._positions[source] = position
            self._strays.discard(source)
            self._ends.pop(source, None)
            discovery.settle(source.partition)
        self._assigned.update(fresh)
        self._read = self._readable()

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> OffsetsResult:
        """Tell the broker *offsets*. From any thread; ends within about 3 s."""
        clients = self._clients
        if clients is None:
            return OffsetsResult(error="the transport is not open")
        if self._weather.troubled(Layer.CONNECTION):
            return OffsetsResult(error=self._weather.health.cause)
        return clients.store.store(offsets)

    def health(self) -> Health:
        """Tell whether the log can be read. Asks nobody."""
        return self._weather.health

    def wake(self) -> None:
        """Make a running or the next `poll` return within 0.2 s. From any thread."""
        self._woken = True

    def close(self, timeout: float) -> None:
        """End within *timeout* seconds. Closing twice is fine."""
        self._closed = True
        self._weather.trouble(Layer.CONNECTION, Cause("closed"))
        clients, self._clients = self._clients, None
        if self._discovery is not None:
            self._discovery.stop()
            self._discovery = None
        if clients is not None:
            clients.close(timeout)

    # -- Inside -------------------------------------------------------------

    def _usable(self) -> tuple[Consumer, Discovery]:
        if self._closed:
            raise TransportError("the transport is closed")
        if self._clients is None or self._discovery is None:
            raise TransportError("the transport was not started")
        if self._fatal is not None:
            raise TransportError(f"confluent-kafka gave up: {self._fatal}")
        return self._clients.consumer, self._discovery

    def _open(self) -> Clients:
        clients = open_clients(
            self._settings, on_error=self._on_error, on_admin_error=self._on_admin_error
        )
        self._renewal.opened()
        return clients

    def _asker(self, clients: Clients) -> AdminAsker:
        return AdminAsker(clients.admin, self._topic, servers=self._servers, weather=self._weather)

    def _renew(self) -> None:
        """Open the clients anew if it is time; see `filesync_kafka_common.renewal`."""
        if not self._renewal.is_due(fair=self._weather.fair):
            return
        try:
            fresh = self._open()
        except TransportError:
            # Written just now, perhaps: the old ones go on meanwhile.
            LOGGER.debug("cannot renew the connection", exc_info=True)
            return
        positions = {source: self._positions[source] for source in self._assigned}
        old, self._clients = self._clients, fresh
        if self._discovery is not None:
            self._discovery.use(self._asker(fresh))
        if old is not None:
            old.close(_RENEW_TIMEOUT)
        self._assigned.clear()
        self.assign(positions)

    def _polled(self, consumer: Consumer, haul: Haul) -> Polled:
        if haul.records or haul.passed_over or any(map(_is_end, haul.errors)):
            self._weather.clear(Layer.READING)
        # Afterwards: what is refused behind the last record is told once only.
        at_end = self._heed(haul)
        moved = {
            source: offset
            for source, offset in at_end.items()
            if offset != self._positions.get(source)
        }
        self._positions.update(moved)
        moved.update(self._pass_over_damaged(haul))
        moved.update(self._moved(consumer))
        return Polled(
            records=haul.records,
            positions=moved,
            passed_over=haul.passed_over,
            faults=haul.faults,
        )

    def _moved(self, consumer: Consumer) -> dict[TopicPartition, int]:
        """Return the positions that are others than were told last."""
        moved: dict[TopicPartition, int] = {}
        for each in consumer.position(self._read):
            # Negative: nothing was read yet.
            source = self._sources[each.partition]
            # Some versions count the note that the end was reached as a record.
            if each.offset == self._ends.get(source, -2) + 1:
                continue
            if each.offset >= 0 and each.offset != self._positions.get(source):
                moved[source] = each.offset
        self._positions.update(moved)
        return moved

    def _heed(self, haul: Haul) -> dict[TopicPartition, int]:
        """Heed what came in place of records; return where partitions ended."""
        at_end: dict[TopicPartition, int] = {}
        for error, partition, offset in haul.errors:
            name = error.name()
            if name == "_PARTITION_EOF" and offset is not None:
                self._ends[self._sources[partition]] = offset
                at_end[self._sources[partition]] = offset
            elif error.fatal():
                self._fatal = text_of(error)
            elif name == "_AUTO_OFFSET_RESET":
                self._stray(partition, offset)
            elif name == "_BAD_MSG" and offset is not None and offset >= 0:
                pass  # See `_pass_over_damaged`.
            elif name == "GROUP_AUTHORIZATION_FAILED":
                # Reading needs no group; who tells offsets hears of it.
                LOGGER.debug("no right on the group: %s", error.str())
            else:
                self._trouble_reading(error)
        return at_end

    def _pass_over_damaged(self, haul: Haul) -> dict[TopicPartition, int]:
        """
        Go on behind the batches of *haul* that are damaged; return where.

        The driver would read one again for ever. Nor does it find its end: what
        it took out of it, or behind it, may be anything.
        """
        moved: dict[TopicPartition, int] = {}
        for error, partition, base in haul.errors:
            # Errors of no partition come as if of the first, which may not be read yet.
            if error.name() != "_BAD_MSG" or base is None or base < 0:
                continue
            source = self._sources[partition]
            if source in moved:
                continue
            before = [
                record.offset + 1
                for record in haul.records
                if record.source == source and record.offset < base
            ]
            offset = max(base, self._positions[source], *before)
            haul.records = [
                record
                for record in haul.records
                if record.source != source or record.offset < offset
            ]
            why = f"it is damaged in the log, or was on its way: {text_of(error)}"
            haul.faults.append(Unreadable(source=source, offset=offset, why=why))
            moved[source] = offset + 1
        self.assign(moved)
        return moved

    def _readable(self) -> list[DriverPartition]:
        return [each for source, each in self._assigned.items() if source not in self._strays]

    def _stray(self, partition: int, offset: int | None) -> None:
        # The driver counts the error as read: its position means nothing now.
        self._strays.add(self._sources[partition])
        self._read = self._readable()
        if self._discovery is not None:
            position = self._positions[self._sources[partition]] if offset is None else offset
            self._discovery.stray(partition, position)

    def _trouble_reading(self, error: KafkaError) -> None:
        cause = refusal(error.name(), error.str(), topic=self._topic, servers=self._servers)
        self._weather.trouble(Layer.READING, cause)

    def _unassign(self, sources: Sequence[TopicPartition]) -> None:
        consumer, _ = self._usable()
        leaving = [self._assigned.pop(source) for source in sources]
        self._strays.difference_update(sources)
        self._read = self._readable()
        if leaving:
            consumer.incremental_unassign(leaving)

    def _on_error(self, error: KafkaError) -> None:
        if self._closed:
            return
        try:
            if error.fatal():
                self._fatal = text_of(error)
            elif error.name() == "_BAD_MSG":
                self._trouble_reading(error)
            elif error.name() == "_ALL_BROKERS_DOWN":
                self._all_down()
            else:
                self._explained = True
                why = suspicion(error.name(), error.str(), self._servers)
                self._weather.connection_failed(why)
        except Exception:  # noqa: BLE001 - were it raised, records in hand would be lost
            LOGGER.debug("an error could not be told", exc_info=True)

    def _all_down(self) -> None:
        """
        Heed that no broker can be had.

        Of connections that are closed on it at once the driver says no more.
        Once connected, settings are right, and the same words mean an outage.
        """
        self._goodbyes += 1
        if self._goodbyes >= _GOODBYES and not self._explained and not self._sources:
            authenticated = self._settings.kafka.security_protocol.authenticated
            self._weather.connection_failed(closed(self._servers, authenticated=authenticated))
        self._weather.all_failed()

    def _on_admin_error(self, error: KafkaError) -> None:
        # That its connection was closed means nothing; why it failed may.
        if error.name() != "_ALL_BROKERS_DOWN":
            self._on_error(error)


def _is_end(error: tuple[KafkaError, int, int | None]) -> bool:
    return error[0].name() == "_PARTITION_EOF"
