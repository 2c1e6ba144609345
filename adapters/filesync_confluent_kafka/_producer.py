"""
The producer: a sending client, and an admin client that looks whether the topic is there.

Theory. A producer that is handed a record for a topic that is not there has the
broker create it. So the topic is looked at first, by what does not create one,
and nothing may be sent until it was seen.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message
from confluent_kafka import Producer as DriverProducer
from confluent_kafka.admin import AdminClient

from filesync import Settings, TopicPartition
from filesync.exceptions import TransportError
from filesync.producer import Delivery, Outgoing
from filesync.transport import Health
from filesync_confluent_kafka._asking import AdminAsker
from filesync_confluent_kafka._causes import refusal, suspicion, text_of
from filesync_confluent_kafka._clients import LOGGER, DriverLog, weakly
from filesync_confluent_kafka._config import (
    GUARD,
    Config,
    admin_config,
    consumer_config,
    producer_config,
)
from filesync_kafka_common.causes import Cause, unacknowledged
from filesync_kafka_common.discovery import Discovery
from filesync_kafka_common.mailbag import Mailbag
from filesync_kafka_common.weather import Layer, Weather

__all__ = ["ConfluentKafkaProducer"]

#: Seconds between two looks at the topic.
_REFRESH = 30.0

#: Seconds after which what the driver did not tell in time will not be told.
_GRACE = 5.0

_OVERDUE = frozenset({"_MSG_TIMED_OUT", "_TIMED_OUT", "_TRANSPORT", "_PURGE_QUEUE"})


class ConfluentKafkaProducer:
    """
    Sends with confluent-kafka; see `filesync.producer.Producer`.

    Args:
        settings: Where the log is.
        timeout: Seconds that a record may wait for its acknowledgement.
    """

    def __init__(self, settings: Settings, *, timeout: float) -> None:
        self._settings = settings
        self._topic = settings.kafka.topic
        self._servers = ", ".join(settings.kafka.servers)
        self._timeout = timeout
        self._weather = Weather(self._servers)
        self._bag = Mailbag(timeout, grace=_GRACE)
        self._driver: Any = None
        self._config: Config = {}
        self._discovery: Discovery | None = None
        self._closed = False

    def start(self) -> None:
        """
        Begin. Waits for no broker.

        Raises:
            TransportError: An option, a file or a combination cannot be used.
        """
        if self._closed or self._discovery is not None:
            raise TransportError("a producer is started once")
        reading = consumer_config(self._settings)
        self._config = producer_config(self._settings, self._timeout, reading)
        asking: dict[str, Any] = {**admin_config(reading), "error_cb": weakly(self._on_error)}
        try:
            self._driver = self._open()
            admin = AdminClient(asking, logger=DriverLog())
        except (KafkaException, ValueError, TypeError) as exc:
            raise GUARD.objection(self._settings, text_of(exc)) from exc
        self._discovery = Discovery(
            AdminAsker(
                admin, self._topic, servers=self._servers, weather=self._weather, right="WRITE"
            ),
            self._topic,
            servers=self._servers,
            weather=self._weather,
            period=_REFRESH,
            measured=False,
        )

    def send(self, record: Outgoing) -> None:
        """Take *record*, without waiting."""
        self._usable()
        if self._driver is None:
            self._driver = self._open()
        self._bag.put(record.ticket)
        try:
            self._driver.produce(
                self._topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                on_delivery=partial(self._delivered, record.ticket),
            )
        except KafkaException as exc:
            self._failed(record.ticket, exc.args[0])
        except BufferError:
            self._bag.failed(record.ticket, "the driver's queue is full: raise its bounds")

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """Return what became of records within *timeout* seconds; at once when something did."""
        discovery = self._usable()
        deadline = time.monotonic() + timeout
        while True:
            if self._bag.heed(discovery.step()):
                self._forget()  # Another topic must not get what was meant for this one.
            left = deadline - time.monotonic()
            patience = discovery.patience(left)
            if self._driver is not None:
                self._serve(patience)
                patience = 0.0
            if self._bag.overdue:
                late = unacknowledged(self._timeout, self._weather.health.cause)
                self._bag.give_up(str(late), silence=True)
                self._forget()
            delivered = self._bag.take(patience)
            if delivered or left <= 0:
                return delivered

    def health(self) -> Health:
        """Tell whether the log can be reached. Asks nobody."""
        return self._weather.health

    def close(self, timeout: float) -> None:
        """End within *timeout* seconds; what is not acknowledged is given up. Twice is fine."""
        self._closed = True
        self._weather.trouble(Layer.CONNECTION, Cause("closed"))
        if self._discovery is not None:
            self._discovery.stop()
            self._discovery = None
        self._forget(timeout)

    def _usable(self) -> Discovery:
        if self._closed:
            raise TransportError("the producer is closed")
        if self._discovery is None:
            raise TransportError("the producer was not started")
        return self._discovery

    def _forget(self, timeout: float = 0.0) -> None:
        """End the sending client, within *timeout* seconds: what it has not sent is not sent."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        with contextlib.suppress(KafkaException):
            driver.purge()
        # It ends when it is forgotten; should that ever take longer, the process may go on.
        holder = [driver]
        del driver
        closer = threading.Thread(target=holder.clear, name="filesync-confluent-close", daemon=True)
        closer.start()
        closer.join(timeout)

    def _serve(self, timeout: float) -> None:
        """Let the driver tell what it has to."""
        try:
            self._driver.poll(timeout)
        except KafkaException as exc:
            # Only what is fatal is raised, such as no right to write at all. The next record
            # gets another driver: one without a record would knock in vain.
            self._bag.give_up(str(self._cause(exc.args[0])))
            self._driver = None

    def _open(self) -> DriverProducer:
        config: dict[str, Any] = {**self._config, "error_cb": weakly(self._on_error)}
        return DriverProducer(config, logger=DriverLog())

    def _delivered(self, ticket: int, error: KafkaError | None, message: Message) -> None:
        if error is None:
            partition, offset = message.partition(), message.offset()
            source = TopicPartition(self._topic, -1 if partition is None else partition)
            self._bag.acknowledged(ticket, source, -1 if offset is None else offset)
        else:
            self._failed(ticket, error)

    def _failed(self, ticket: int, error: KafkaError) -> None:
        self._bag.failed(ticket, str(self._cause(error)), silence=error.name() in _OVERDUE)

    def _cause(self, error: KafkaError) -> Cause:
        if error.name() in _OVERDUE:
            return unacknowledged(self._timeout, self._weather.health.cause)
        return refusal(
            error.name(), error.str(), topic=self._topic, servers=self._servers, right="WRITE"
        )

    def _on_error(self, error: KafkaError) -> None:
        if self._closed:
            return
        try:
            if error.name() == "_ALL_BROKERS_DOWN":
                self._weather.all_failed()
            else:
                why = suspicion(error.name(), error.str(), self._servers)
                self._weather.connection_failed(why)
        except Exception:  # noqa: BLE001 - raised in a callback it would be lost, and more with it
            LOGGER.debug("an error could not be told", exc_info=True)
