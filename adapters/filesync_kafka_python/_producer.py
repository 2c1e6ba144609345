"""
The producer: a sending client that works in a thread of its own, and an admin client beside it.

Theory. Handing over a record may block, so a thread does it. And when the time
of one record is over, or the broker refuses one, the driver sends nothing any
more and never tells of the others (it keeps the order of an idempotent
producer): all that is under way is given up then, and another client sends
what comes next. It is not sent again: the log may have it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from typing import Any

from attrs import define
from kafka import KafkaProducer, errors

from filesync import Settings, TopicPartition
from filesync.exceptions import TransportError
from filesync.producer import Delivery, Outgoing
from filesync.transport import Health
from filesync_kafka_common.causes import Cause, unacknowledged
from filesync_kafka_common.discovery import Discovery
from filesync_kafka_common.mailbag import Mailbag
from filesync_kafka_common.weather import Layer, Weather
from filesync_kafka_python._asking import Admin, AdminAsker
from filesync_kafka_python._causes import is_silence, refusal
from filesync_kafka_python._clients import forbid_creation
from filesync_kafka_python._config import (
    Config,
    admin_config,
    check_packages,
    consumer_config,
    producer_config,
)
from filesync_kafka_python._gossip import Gossip
from filesync_kafka_python._worker import Worker

__all__ = ["KafkaPythonProducer"]

#: Seconds between two looks at the topic.
_REFRESH = 30.0

#: Seconds within which a hand-over that waits for a broker is over.
_HAND_OVER = 2.0

#: Seconds after which what the driver did not tell in time will not be told.
_GRACE = 1.0


@define(eq=False)
class _Sender:
    """
    A sending client, made by the thread that uses it.

    Attributes:
        config: Its arguments.
        worker: Has the thread.
        driver: The client, once it was needed.
        broken: Why it sends no more; empty while it does.
        silent: Whether that is because nothing was heard.
        closed: Whether it must send no more.
    """

    config: Config
    worker: Worker
    driver: Any = None
    broken: str = ""
    silent: bool = False
    closed: bool = False

    def open(self) -> Any:
        """Return the client."""
        if self.driver is None:
            self.driver = KafkaProducer(**self.config)
            forbid_creation(self.driver._metadata)  # noqa: SLF001
        return self.driver

    def close(self, timeout: float) -> None:
        """End it within *timeout* seconds: what it has not sent is not sent later."""
        self.closed = True
        self.worker.close()
        closer = threading.Thread(target=self._close, name="filesync-kafka-close", daemon=True)
        closer.start()
        closer.join(timeout)

    def _close(self) -> None:
        self.worker.join(_HAND_OVER)
        # Its own close raises, and ends nothing, while records are under way.
        own: Any = getattr(self.driver, "_sender", None)
        with contextlib.suppress(Exception):
            own.force_close()
            own.join(_GRACE)
        with contextlib.suppress(Exception):
            self.driver.close(timeout=0)
        with contextlib.suppress(AttributeError):  # Else it says so when it is forgotten.
            self.driver._closed = True  # noqa: SLF001


class KafkaPythonProducer:
    """
    Sends with kafka-python; see `filesync.producer.Producer`.

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
        self._gossip = Gossip(settings, self._weather)
        self._bag = Mailbag(timeout, grace=_GRACE)
        self._config: Config = {}
        self._sender: _Sender | None = None
        self._admin: Admin | None = None
        self._asking: Worker | None = None
        self._discovery: Discovery | None = None
        self._breaking = threading.Lock()
        self._closed = False

    def start(self) -> None:
        """
        Begin. Waits for no broker.

        Raises:
            TransportError: An option, a file, a combination or an installed
                package cannot be used.
        """
        if self._closed or self._sender is not None:
            raise TransportError("a producer is started once")
        check_packages()
        reading = consumer_config(self._settings)
        self._config = producer_config(self._settings, self._timeout, reading)
        asking = admin_config(reading)
        self._gossip.listen(self._config["client_id"], asking["client_id"])
        self._sender = self._make_sender()
        self._admin = Admin(asking)
        self._asking = Worker("filesync-kafka-python")
        self._discovery = Discovery(
            AdminAsker(
                self._admin, self._asking, self._topic, servers=self._servers, right="WRITE"
            ),
            self._topic,
            servers=self._servers,
            weather=self._weather,
            period=_REFRESH,
            measured=False,
        )

    def send(self, record: Outgoing) -> None:
        """Take *record*, without waiting."""
        sender, _ = self._usable()
        if self._is_broken(sender):
            sender = self._replace(sender)
        self._bag.put(record.ticket)
        sender.worker.start(lambda: self._hand_over(sender, record))

    def poll(self, timeout: float) -> Sequence[Delivery]:
        """Return what became of records within *timeout* seconds; at once when something did."""
        deadline = time.monotonic() + timeout
        while True:
            sender, discovery = self._usable()
            if self._gossip.heed():
                discovery.hurry()
            lost = self._bag.heed(discovery.step())
            if lost or self._is_broken(sender) or self._bag.overdue:
                self._replace(sender)
            left = deadline - time.monotonic()
            delivered = self._bag.take(discovery.patience(left))
            if delivered or left <= 0:
                return delivered

    def health(self) -> Health:
        """Tell whether the log can be reached. Asks nobody."""
        return self._weather.health

    def close(self, timeout: float) -> None:
        """End within *timeout* seconds; what is not acknowledged is given up. Twice is fine."""
        self._closed = True
        self._gossip.close()
        self._weather.trouble(Layer.CONNECTION, Cause("closed"))
        deadline = time.monotonic() + timeout
        if self._discovery is not None:
            self._discovery.stop()
            self._discovery = None
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close(timeout)
        if self._asking is not None:
            self._asking.close()
        if self._admin is not None:
            self._admin.close()
        if self._asking is not None:
            self._asking.join(max(0.0, deadline - time.monotonic()))

    def _usable(self) -> tuple[_Sender, Discovery]:
        if self._closed:
            raise TransportError("the producer is closed")
        if self._sender is None or self._discovery is None:
            raise TransportError("the producer was not started")
        return self._sender, self._discovery

    def _is_broken(self, sender: _Sender) -> bool:
        with self._breaking:
            return sender.broken != ""

    def _replace(self, sender: _Sender) -> _Sender:
        """Give up what *sender* has, and return another one."""
        late = unacknowledged(self._timeout, self._weather.health.cause)
        self._bag.give_up(sender.broken or str(late), silence=sender.silent or not sender.broken)
        self._sender = self._make_sender()
        sender.close(0)
        return self._sender

    def _make_sender(self) -> _Sender:
        return _Sender(self._config, Worker("filesync-kafka-producer"))

    def _hand_over(self, sender: _Sender, record: Outgoing) -> None:
        """Give *record* to the driver, in the sender's thread; it blocks without a broker."""
        until = time.monotonic() + self._timeout
        while not sender.closed:
            try:
                future = sender.open().send(
                    self._topic, value=record.value, key=record.key, headers=list(record.headers)
                )
            except errors.KafkaTimeoutError as exc:
                if time.monotonic() < until:
                    continue
                self._failed(sender, record.ticket, exc)
            except errors.MessageSizeTooLargeError as exc:  # By itself: no broker was asked.
                self._bag.failed(record.ticket, str(self._refusal(exc)))
            except Exception as exc:  # noqa: BLE001 - whatever it is, the record is not sent.
                self._failed(sender, record.ticket, exc)
            else:
                future.add_callback(self._acknowledged, record.ticket)
                future.add_errback(self._failed, sender, record.ticket)
            return

    def _acknowledged(self, ticket: int, told: Any) -> None:
        self._bag.acknowledged(ticket, TopicPartition(self._topic, told.partition), told.offset)

    def _failed(self, sender: _Sender, ticket: int, problem: BaseException) -> None:
        # It keeps the order of an idempotent producer: nothing follows what is missing.
        silence = is_silence(problem) or isinstance(problem, errors.KafkaTimeoutError)
        if silence:
            why = rest = str(unacknowledged(self._timeout, self._weather.health.cause))
        else:
            why = str(self._refusal(problem))
            rest = f"given up, because another record was refused; send it again: {why}"
        # Whoever knows of the first one that failed knows that the sender is broken.
        with self._breaking:
            if not sender.broken:
                self._bag.failed(ticket, why, silence=silence)
                sender.silent, sender.broken = silence, rest
            else:  # After a refusal the driver says of all others what it said of that one.
                self._bag.failed(ticket, sender.broken, silence=sender.silent)

    def _refusal(self, problem: BaseException) -> Cause:
        return refusal(problem, topic=self._topic, servers=self._servers, right="WRITE")
