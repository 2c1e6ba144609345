"""
The transport: a client that reads, and one that is asked about the topic in a thread of its own.

Theory. The reading client is assigned by hand, has no group and never commits.
It raises for one partition what concerns that one only, and goes on when it is
polled again; with two exceptions. After a record that it cannot decode it must
be sought past it first, or the next poll never returns. And after a refusal it
would be back a thousand times a second, so it is left alone for a while, as it
is while no broker can be had.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kafka import KafkaConsumer, errors
from kafka import TopicPartition as DriverPartition

from filesync import Settings, TopicPartition
from filesync.exceptions import TransportError
from filesync.transport import (
    Fault,
    Health,
    Matcher,
    OffsetsResult,
    Polled,
    Unreadable,
)
from filesync_kafka_common.causes import Cause
from filesync_kafka_common.discovery import Discovery
from filesync_kafka_common.lookout import let_go_by
from filesync_kafka_common.options import group_of
from filesync_kafka_common.renewal import Renewal
from filesync_kafka_common.weather import Layer, Weather
from filesync_kafka_python._asking import AdminAsker, store
from filesync_kafka_python._causes import refusal, text_of
from filesync_kafka_python._clients import Clients, open_clients
from filesync_kafka_python._config import admin_config, check_packages, consumer_config
from filesync_kafka_python._gossip import Gossip
from filesync_kafka_python._records import Haul, take

__all__ = ["KafkaPythonTransport"]

LOGGER = logging.getLogger("filesync.kafka_python")

#: Seconds for which the reading client is left alone after a refusal, or without a broker.
_REST = 1.0

#: Seconds after which clients that were never let in are opened anew: more often costs too much.
_DENIED_FOR = 15.0

#: Seconds without any broker after which the clients are opened anew: brokers may have moved.
_TOO_LONG_DOWN = 60.0

#: Bytes of values with which a poll is content, as far as the last one tells.
_ENOUGH_BYTES = 4 * 1024 * 1024

#: Records that are taken while nothing is known about their size.
_FEW = 64


class KafkaPythonTransport:
    """
    Reads a topic with kafka-python; see `filesync.transport.Transport`.

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
        self._renewal = Renewal(settings, down_for=_TOO_LONG_DOWN, denied_for=_DENIED_FOR)
        self._gossip = Gossip(settings, self._weather)
        self._clients: Clients | None = None
        self._discovery: Discovery | None = None
        self._assigned: dict[TopicPartition, DriverPartition] = {}
        self._strays: set[TopicPartition] = set()
        self._sources: dict[int, TopicPartition] = {}
        self._positions: dict[TopicPartition, int] = {}
        self._few = _FEW
        self._rest_until = 0.0
        self._bell = threading.Event()
        self._closed = False

    def start(self) -> None:
        """
        Begin. Waits for no broker.

        Raises:
            TransportError: An option, a file, a combination or an installed
                package cannot be used.
        """
        if self._closed or self._clients is not None:
            raise TransportError("a transport is started once")
        check_packages()
        try:
            self._clients = self._open()
        except TransportError:
            self._gossip.close()
            raise
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
        self._renew()
        consumer, discovery = self._usable()
        deadline = time.monotonic() + timeout
        while True:
            if self._gossip.heed():
                discovery.hurry()
            faults = discovery.step()
            if faults:
                self._let_go(consumer, let_go_by(faults, self._assigned))
                return Polled(faults=faults)
            left = deadline - time.monotonic()
            polled = self._read(consumer, discovery.patience(left), max_records, wanted)
            if polled.records or polled.positions or polled.faults or polled.passed_over:
                return polled
            if left <= 0 or self._bell.is_set():
                self._bell.clear()
                return polled

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """
        Read these partitions from these positions; leave the others alone.

        Raises:
            TransportError: The transport is not open.
        """
        consumer, discovery = self._usable()
        for source, position in positions.items():
            if position < 0:
                raise TransportError(f"{source} cannot be read from {position}")
        for source, position in positions.items():
            self._assigned[source] = DriverPartition(source.topic, source.partition)
            self._sources[source.partition] = source
            self._positions[source] = position
            self._strays.discard(source)
            discovery.settle(source.partition)
        self._apply(consumer)
        for source, position in positions.items():
            consumer.seek(self._assigned[source], position)

    def commit_offsets(self, offsets: Mapping[TopicPartition, int]) -> OffsetsResult:
        """Tell the broker *offsets*. From any thread; ends within some seconds."""
        clients = self._clients
        if clients is None:
            return OffsetsResult(error="the transport is not open")
        if self._weather.troubled(Layer.CONNECTION) or not clients.admin.is_open:
            return OffsetsResult(error=self._weather.health.cause)
        if not offsets:
            return OffsetsResult()
        return store(clients.admin, group_of(self._settings), offsets)

    def health(self) -> Health:
        """Tell whether the log can be read. Asks nobody."""
        return self._weather.health

    def wake(self) -> None:
        """Make a running or the next `poll` return within 0.2 s. From any thread."""
        self._bell.set()

    def close(self, timeout: float) -> None:
        """End within *timeout* seconds. Closing twice is fine."""
        self._closed = True
        self._gossip.close()
        self._weather.trouble(Layer.CONNECTION, Cause("closed"))
        clients, self._clients = self._clients, None
        if self._discovery is not None:
            self._discovery.stop()
            self._discovery = None
        if clients is not None:
            clients.close(timeout)

    # -- Clients ------------------------------------------------------------

    def _usable(self) -> tuple[KafkaConsumer, Discovery]:
        if self._closed:
            raise TransportError("the transport is closed")
        if self._clients is None or self._discovery is None:
            raise TransportError("the transport was not started")
        return self._clients.consumer, self._discovery

    def _open(self) -> Clients:
        config = consumer_config(self._settings)
        self._gossip.listen(config["client_id"], admin_config(config)["client_id"])
        clients = open_clients(self._settings, config)
        self._renewal.opened()
        return clients

    def _asker(self, clients: Clients) -> AdminAsker:
        return AdminAsker(clients.admin, clients.worker, self._topic, servers=self._servers)

    def _renew(self) -> None:
        """Open the clients anew if it is time; see `filesync_kafka_common.renewal`."""
        if not self._renewal.is_due(fair=self._weather.fair, denied=self._gossip.denied):
            return
        try:
            fresh = self._open()
        except TransportError:
            # Written just now, perhaps: the old ones go on meanwhile.
            LOGGER.debug("cannot renew the connection", exc_info=True)
            return
        self._gossip.forget()
        positions = {source: self._positions[source] for source in self._assigned}
        old, self._clients = self._clients, fresh
        if self._discovery is not None:
            self._discovery.use(self._asker(fresh))
        if old is not None:
            old.close(_REST)
        self.assign(positions)

    def _let_go(self, consumer: KafkaConsumer, sources: frozenset[TopicPartition]) -> None:
        for source in sources:
            del self._assigned[source]
            self._strays.discard(source)
        if sources:
            self._apply(consumer)

    def _apply(self, consumer: KafkaConsumer) -> None:
        consumer.assign(self._readable())

    def _readable(self) -> list[DriverPartition]:
        return [each for source, each in self._assigned.items() if source not in self._strays]

    # -- Reading ------------------------------------------------------------

    def _read(
        self, consumer: KafkaConsumer, patience: float, max_records: int, wanted: Matcher
    ) -> Polled:
        rest = self._rest_until - time.monotonic()
        if rest > 0 or not self._readable():
            # The driver would sleep on, whoever rings.
            self._bell.wait(min(patience, rest) if rest > 0 else patience)
            return Polled()
        faults: list[Fault] = []
        batches: Mapping[Any, Sequence[Any]] = {}
        try:
            batches = consumer.poll(
                timeout_ms=round(patience * 1000), max_records=min(max_records, self._few)
            )
        except errors.OffsetOutOfRangeError as exc:
            for partition, position in dict(exc.args[0]).items():
                self._stray(consumer, self._sources[partition.partition], position)
        except errors.LogTruncationError as exc:
            # Where it says that the logs part is the end of the new one.
            for partition in exc.divergent_offsets:
                source = self._sources[partition.partition]
                self._stray(consumer, source, self._positions[source])
        except errors.CorruptRecordError as exc:
            faults.append(self._pass_over(consumer, exc))
        except errors.KafkaError as exc:
            self._trouble_reading(consumer, exc)
        haul = take(batches, self._sources, wanted)
        self._learn_size(haul)
        moved = self._moved(consumer)
        if haul.taken or moved:
            self._weather.clear(Layer.READING)
        elif self._weather.troubled(Layer.CONNECTION):
            # It connects by itself; asking it all the time costs more than its knocking.
            self._rest_until = time.monotonic() + _REST
        return Polled(
            records=haul.records,
            positions=moved,
            passed_over=haul.taken - len(haul.records),
            faults=faults,
        )

    def _learn_size(self, haul: Haul) -> None:
        """Take fewer of large records at once, so that memory stays small."""
        if haul.taken:
            self._few = max(1, _ENOUGH_BYTES * haul.taken // max(1, haul.size))

    def _moved(self, consumer: KafkaConsumer) -> dict[TopicPartition, int]:
        """Return the positions that are others than were told last."""
        moved: dict[TopicPartition, int] = {}
        for source, partition in self._assigned.items():
            if source in self._strays:
                continue
            # What it raises the next poll raises again.
            with contextlib.suppress(errors.KafkaError):
                position = consumer.position(partition, timeout_ms=0)
                if position is not None and position != self._positions[source]:
                    moved[source] = position
        self._positions.update(moved)
        return moved

    def _stray(self, consumer: KafkaConsumer, source: TopicPartition, position: int) -> None:
        self._strays.add(source)
        self._apply(consumer)
        if self._discovery is not None:
            self._discovery.stray(source.partition, position)

    def _pass_over(self, consumer: KafkaConsumer, problem: errors.KafkaError) -> Unreadable:
        """Go on after the record that cannot be decoded. Until then no poll would return."""
        partition = self._culprit(consumer)
        offset: int = consumer.position(partition, timeout_ms=0)
        consumer.seek(partition, offset + 1)
        return Unreadable(
            source=self._sources[partition.partition],
            offset=offset,
            why=f"it cannot be decoded: {text_of(problem)}",
        )

    def _culprit(self, consumer: KafkaConsumer) -> DriverPartition:
        """
        Return the partition of what the driver just failed to decode.

        It does not say so; but what it works on is still in its hands.
        """
        if len(self._readable()) == 1:
            return self._readable()[0]
        fetcher = getattr(consumer, "_fetcher", None)
        broken = getattr(fetcher, "_next_partition_records", None)
        if broken is None:
            raise TransportError(
                "kafka-python cannot decode a record, and does not say of which partition: "
                "use confluent-kafka, or another version of kafka-python"
            )
        partition: DriverPartition = broken.topic_partition
        return partition

    def _trouble_reading(self, consumer: KafkaConsumer, problem: errors.KafkaError) -> None:
        cause = refusal(problem, topic=self._topic, servers=self._servers)
        self._weather.trouble(Layer.READING, cause)
        self._rest_until = time.monotonic() + _REST
        # What it failed with may still be in its hands: then the next poll would not return.
        broken = getattr(getattr(consumer, "_fetcher", None), "_next_partition_records", None)
        if broken is not None:
            broken.drain()
