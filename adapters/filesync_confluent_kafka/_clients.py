"""
The driver's clients that one transport needs, opened and closed together.

None waits for a broker when it is opened, and all end in milliseconds.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any

from attrs import frozen
from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from filesync import Settings
from filesync_confluent_kafka._causes import text_of
from filesync_confluent_kafka._config import GUARD, admin_config, consumer_config
from filesync_confluent_kafka._offsets import OffsetStore
from filesync_kafka_common.options import group_of

__all__ = ["LOGGER", "Clients", "DriverLog", "open_clients", "weakly"]

LOGGER = logging.getLogger("filesync.confluent_kafka")

_OnError = Callable[[KafkaError], None]


class DriverLog:
    """Takes what librdkafka logs, which would go to stderr. It tells us errors as well."""

    def log(self, _level: int, message: str, *args: object) -> None:
        """Log one line of the driver's."""
        # The records in hand are worth more than a line in a log.
        with contextlib.suppress(Exception):
            LOGGER.debug(message, *args)


def weakly(told: _OnError) -> _OnError:
    """
    Return *told*, a method, without a hold on its object.

    With one, object and client would hold each other; see
    `filesync_confluent_kafka._asking` for what becomes of that.
    """
    method = weakref.WeakMethod(told)

    def tell(error: KafkaError) -> None:
        alive = method()
        if alive is not None:
            alive(error)

    return tell


@frozen(kw_only=True)
class Clients:
    """
    What talks to the brokers.

    Attributes:
        consumer: Reads, and is asked for nothing else.
        admin: Is asked about the topic.
        store: Tells our offsets.
    """

    consumer: Consumer
    admin: AdminClient
    store: OffsetStore

    def close(self, timeout: float) -> None:
        """End all within *timeout* seconds; whoever holds *admin* lets it go before."""
        self.store.close()
        # Should it ever take longer, the process may go on.
        closer = threading.Thread(
            target=_close, args=(self.consumer,), name="filesync-confluent-close", daemon=True
        )
        closer.start()
        closer.join(timeout)


def open_clients(settings: Settings, *, on_error: _OnError, on_admin_error: _OnError) -> Clients:
    """
    Open clients as *settings* say.

    Args:
        settings: Where the log is.
        on_error: A method, told the errors of the reading client, inside its `poll`.
        on_admin_error: Likewise, of the one that is asked about the topic.

    Raises:
        TransportError: An option, a file or a combination cannot be used.
    """
    config = consumer_config(settings)
    asking = admin_config(config)
    # Typed loosely: the driver's stubs allow no callbacks.
    consumer_with: dict[str, Any] = {**config, "error_cb": weakly(on_error)}
    admin_with: dict[str, Any] = {**asking, "error_cb": weakly(on_admin_error)}
    try:
        return Clients(
            consumer=Consumer(consumer_with, logger=DriverLog()),
            admin=AdminClient(admin_with, logger=DriverLog()),
            store=OffsetStore(asking, group_of(settings)),
        )
    except (KafkaException, ValueError, TypeError) as exc:
        raise GUARD.objection(settings, text_of(exc)) from exc


def _close(consumer: Consumer) -> None:
    try:
        consumer.close()
    except (KafkaException, RuntimeError):
        LOGGER.debug("the reading client did not close", exc_info=True)
