"""
The driver's clients that one transport needs, opened and closed together.

None waits for a broker when it is opened, and all end in milliseconds.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from attrs import frozen
from kafka import KafkaConsumer, errors

from filesync import Settings
from filesync.exceptions import TransportError
from filesync_kafka_python._asking import Admin
from filesync_kafka_python._causes import text_of
from filesync_kafka_python._config import GUARD, Config, admin_config
from filesync_kafka_python._worker import Worker

__all__ = ["Clients", "forbid_creation", "open_clients"]


@frozen(kw_only=True)
class Clients:
    """
    What talks to the brokers.

    Attributes:
        consumer: Reads.
        admin: Is asked, and told offsets.
        worker: Asks *admin*.
    """

    consumer: KafkaConsumer
    admin: Admin
    worker: Worker

    def close(self, timeout: float) -> None:
        """End all within *timeout* seconds."""
        deadline = time.monotonic() + timeout
        self.worker.close()
        # Both wait for threads of the driver; should that take longer, the process may go on.
        closer = threading.Thread(target=self._close, name="filesync-kafka-close", daemon=True)
        closer.start()
        closer.join(timeout)
        self.worker.join(max(0.0, deadline - time.monotonic()))

    def _close(self) -> None:
        self.admin.close()
        # It is of no more use, whatever it says.
        with contextlib.suppress(Exception):
            self.consumer.close(autocommit=False, timeout_ms=0)


def open_clients(settings: Settings, config: Config) -> Clients:
    """
    Open clients with *config*, that of the reading one, which was made of *settings*.

    Raises:
        TransportError: The driver does not want it.
    """
    try:
        consumer = KafkaConsumer(**config)
    except (errors.KafkaError, ValueError, TypeError, AssertionError) as exc:
        raise GUARD.objection(settings, text_of(exc)) from exc
    forbid_creation(getattr(consumer, "_cluster", None))
    return Clients(
        consumer=consumer,
        admin=Admin(admin_config(config)),
        worker=Worker("filesync-kafka-python"),
    )


def forbid_creation(cluster: Any) -> None:
    """
    Have a client ask for its topic without creating it; *cluster* is what it knows of brokers.

    There is an option for that, which the driver loses on the way to where it is needed.

    Raises:
        TransportError: The driver is another one than we know.
    """
    try:
        cluster.config["allow_auto_create_topics"] = False
    except (AttributeError, TypeError) as exc:
        raise TransportError(
            "this version of kafka-python would create topics: use one from 3.0.9 to 3.0.12"
        ) from exc
