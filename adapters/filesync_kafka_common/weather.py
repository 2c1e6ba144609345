"""
Whether the log can be read at the moment, and if not, why: one line that stays.

Theory. Drivers tell the same failure in several ways, and in other words from
attempt to attempt. So a failed connection is kept as a *suspicion*: it becomes
the cause when no broker can be had, and not before, since one broker of three
may fail and harm nothing. And of causes that say the same the first one is
kept: a cause that changes every second would be told every second.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable
from math import inf

from filesync.transport import Health
from filesync_kafka_common.causes import Cause, unanswered, unreachable

__all__ = ["Layer", "Weather"]

#: Seconds after which an earlier failure no longer explains a later one.
_SUSPICION_LASTS = 30.0

#: Seconds within which a connection that fails fails again.
_KNOCKS_EVERY = 5.0


class Layer(enum.IntEnum):
    """What is in trouble, and so what shows that the trouble is over."""

    #: No broker can be had; anything that a broker says ends it.
    CONNECTION = 0
    #: The topic cannot be looked at; a look that succeeds ends it.
    TOPIC = 1
    #: Records cannot be read; a record, or the end of the log, ends it.
    READING = 2


class Weather:
    """
    Judges from what is met whether the log can be read.

    Args:
        servers: As the operator wrote them, for messages.
        clock: Monotonic seconds.
    """

    def __init__(self, servers: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = servers
        self._clock = clock
        self._connection = ""
        self._troubles: dict[Layer, Cause] = {}
        self._suspicion: Cause | None = None
        self._suspected_at = 0.0
        self._failed_at = -inf
        self.health = Health(up=False, cause=f"connecting to {servers}")

    @property
    def fair(self) -> bool:
        """Whether a broker answered and nothing is in trouble."""
        return self.health.up

    def troubled(self, layer: Layer) -> bool:
        """Whether *layer* is in trouble."""
        return layer in self._troubles

    @property
    def knocking(self) -> bool:
        """Whether connections fail just now: the driver tries every second or two."""
        return self._clock() - self._failed_at < _KNOCKS_EVERY

    def connection_failed(self, why: Cause | None) -> None:
        """Note that one connection failed; *why*, if that can be told."""
        self._failed_at = self._clock()
        if why is None:
            return
        self._suspected_at = self._failed_at
        if self._suspicion is None or self._suspicion.what != why.what:
            self._suspicion = why

    def all_failed(self) -> None:
        """Note that no broker can be had."""
        self._failed_at = self._clock()
        self._blame(unreachable(self._servers))

    def unanswered(self) -> None:
        """Note that a question was not answered in time."""
        self._blame(unanswered(self._servers))

    def trouble(self, layer: Layer, cause: Cause) -> None:
        """Note that *layer* is in trouble."""
        before = self._troubles.get(layer)
        if before is None or before.what != cause.what:
            self._troubles[layer] = cause
            self._judge()

    def clear(self, layer: Layer) -> None:
        """Note that *layer*, and all below it, is not in trouble."""
        self._suspicion = None
        ended = [each for each in self._troubles if each <= layer]
        for each in ended:
            del self._troubles[each]
        if ended:
            self._judge()

    def seen(self, connection: str) -> None:
        """Note that the topic was seen; *connection* says in one line where."""
        self._connection = connection
        self.clear(Layer.TOPIC)
        self._judge()

    def _blame(self, otherwise: Cause) -> None:
        """What was suspected is the cause; if nothing was, one that is known stays."""
        lately = self._clock() - self._suspected_at <= _SUSPICION_LASTS
        if self._suspicion is not None and lately:
            self.trouble(Layer.CONNECTION, self._suspicion)
        elif not self.troubled(Layer.CONNECTION):
            self.trouble(Layer.CONNECTION, otherwise)

    def _judge(self) -> None:
        if self._troubles:
            health = Health(up=False, cause=str(self._troubles[min(self._troubles)]))
        elif self._connection:
            health = Health(up=True, cause=self._connection)
        else:
            health = Health(up=False, cause=f"connecting to {self._servers}")
        # The same cause stays the same object: a change is seen at a glance.
        if health != self.health:
            self.health = health
