"""
What librdkafka's errors mean to an operator: one line each, with what to do.

Theory. The driver tells the same failure in several ways, the last of which
is "all brokers are down". So a failed connection is kept as a *suspicion*: it
becomes the cause when all brokers are down, and not before, since one broker
of three may fail and harm nothing. Neither of the driver's own flags (fatal,
retriable) is set on the errors seen here, so they are told apart by name; a
refused certificate has no name of its own, only a text. The text of the same
failure differs from attempt to attempt, so the first one is kept: a cause
that changes every second would be told every second.
"""

from __future__ import annotations

import enum
import re
import time
from collections.abc import Callable
from math import inf

from attrs import frozen
from confluent_kafka import KafkaError

from filesync.transport import Health

__all__ = [
    "Cause",
    "Layer",
    "Weather",
    "refusal",
    "suspicion",
    "text_of",
    "unanswered",
    "unreachable",
]

#: Seconds after which an earlier failure no longer explains a later one.
_SUSPICION_LASTS = 30.0

#: Seconds within which a connection that fails fails again.
_KNOCKS_EVERY = 2.5

#: Characters of the driver's text that are told.
_TOLD = 300

#: The driver's texts end in its own state and in how often it was silent.
_TAIL = re.compile(r"\s*\(after \d+ms in state \w+.*", re.DOTALL)


@frozen
class Cause:
    """
    Why the log cannot be read.

    Attributes:
        what: What is wrong and what to do; the same for the same failure.
        told: What the driver said; may be empty.
    """

    what: str
    told: str = ""

    def __str__(self) -> str:
        return f"{self.what} ({self.told})" if self.told else self.what


def unreachable(servers: str) -> Cause:
    """Return the cause for: no broker can be had, and nothing says why."""
    return Cause(
        f"cannot reach a broker at {servers}: is it running, "
        "are kafka.server and kafka.security-protocol right?"
    )


def unanswered(servers: str) -> Cause:
    """Return the cause for: somebody is there, and says nothing."""
    return Cause(f"no answer from a broker at {servers}: is it overloaded, or stalled?")


def suspicion(name: str, text: str, servers: str) -> Cause | None:
    """
    Return what a failed connection may mean; None: nothing in particular.

    Args:
        name: Of the error, such as ``_SSL``.
        text: The driver's own.
        servers: As the operator wrote them.
    """
    told = _one_line(text)
    lowered = told.lower()
    match name:
        case "_AUTHENTICATION" | "SASL_AUTHENTICATION_FAILED" | "UNSUPPORTED_SASL_MECHANISM":
            what = _authentication(lowered)
        case "_SSL":
            what = "the broker's certificate is not accepted: check kafka.ca-file, kafka.server"
        case "_TRANSPORT" if "ssl alert" in lowered:
            what = "the broker refuses our certificate: check kafka.cert-file"
        case "_TRANSPORT" if "ssl connection closed" in lowered:
            what = "the broker does not speak TLS there: check kafka.security-protocol"
        case "_TRANSPORT" if "refused" in lowered:
            return unreachable(servers)
        case "_RESOLVE":
            what = "the name of a broker cannot be resolved: check kafka.server"
        case _:
            return None
    return Cause(what, told)


def _authentication(lowered: str) -> str:
    if "credentials" in lowered:
        return "the broker refuses user or password: check kafka.sasl-username, sasl-password-file"
    if lowered.rstrip().endswith("supported mechanisms:"):
        return "the broker does not speak SASL there: check kafka.security-protocol"
    if "supported mechanisms:" in lowered:
        return "the broker does not offer this mechanism: check kafka.sasl-mechanism"
    return "the broker does not let us in: check kafka.security-protocol and kafka.sasl-…"


def refusal(name: str, text: str, *, topic: str, servers: str) -> Cause:
    """Return the cause for: a broker answered, and the answer is an error."""
    match name:
        case "UNKNOWN_TOPIC_OR_PART" | "_UNKNOWN_TOPIC" | "_UNKNOWN_PARTITION":
            what = f"there is no topic {topic!r} at {servers}: create it, or correct kafka.topic"
            return Cause(what)
        case "TOPIC_AUTHORIZATION_FAILED":
            return Cause(f"no right to the topic {topic!r}: grant us READ and DESCRIBE on it")
        case "_BAD_MSG" if "crc" in text.lower():
            return Cause("a record is damaged in the log, or was on its way", _one_line(text))
        case "_BAD_MSG":
            what = "a record is larger than may be received: raise receive.message.max.bytes"
            return Cause(f"{what} in kafka.options", _one_line(text))
        case _:
            return Cause(f"a broker at {servers} answers {name}", _one_line(text))


def text_of(problem: object) -> str:
    """Return in one line what a `KafkaError`, or an exception that holds one, says."""
    error = problem.args[0] if isinstance(problem, Exception) and problem.args else problem
    return _one_line(str(error.str() if isinstance(error, KafkaError) else error))


def _one_line(text: str) -> str:
    return " ".join(_TAIL.sub("", text).split())[:_TOLD]


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

    def connection_failed(self, name: str, text: str) -> None:
        """Note an error of one connection, or of all of them."""
        self._failed_at = self._clock()
        if name != "_ALL_BROKERS_DOWN":
            self._suspect(suspicion(name, text, self._servers))
        elif self._suspicion is not None and (
            self._clock() - self._suspected_at <= _SUSPICION_LASTS
        ):
            self.trouble(Layer.CONNECTION, self._suspicion)
        elif not self.troubled(Layer.CONNECTION):
            self.trouble(Layer.CONNECTION, unreachable(self._servers))

    def unanswered(self) -> None:
        """Note that a question was not answered in time; a cause that is known stays."""
        if not self.troubled(Layer.CONNECTION):
            self.trouble(Layer.CONNECTION, unanswered(self._servers))

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

    def _suspect(self, cause: Cause | None) -> None:
        if cause is None:
            return
        self._suspected_at = self._clock()
        if self._suspicion is None or self._suspicion.what != cause.what:
            self._suspicion = cause

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
