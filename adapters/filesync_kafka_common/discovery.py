"""
Looks at the topic now and then: which partitions it has, and whether it is still the same one.

Theory. Nothing here waits. A *look* is a generator: it asks, and yields until
the answers are there; every poll of the transport goes one step. Whoever reads
is not asked: its requests would queue behind a running fetch. While nothing is
known, or something is missing, or the weather is bad, a look follows the other
within a second; otherwise after half a minute, or when somebody calls for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Protocol

from filesync.transport import Fault
from filesync_kafka_common import causes
from filesync_kafka_common.causes import Cause
from filesync_kafka_common.lookout import Extent, Lookout, Seen, connection_line
from filesync_kafka_common.weather import Layer, Weather

__all__ = ["PATIENCE", "RETRY", "Answer", "Asker", "Discovery", "RefusedError", "UnansweredError"]

#: Seconds between looks while something is missing.
RETRY = 1.0

#: Seconds between two services of a driver's callbacks.
_SERVE = 1.0

#: Seconds for which a driver is waited for at once: nothing can interrupt it.
_SLICE = 0.2

#: The same while an answer is due in milliseconds.
_SHORT_SLICE = 0.01

#: Seconds within which most answers come.
PATIENCE = 0.3


class UnansweredError(Exception):
    """Nobody answered in time, or nobody could be asked."""


class RefusedError(Exception):
    """
    A broker answered, and the answer is an error.

    Attributes:
        cause: Which.
    """

    def __init__(self, cause: Cause) -> None:
        super().__init__(str(cause))
        self.cause = cause


Answer = Generator[None, None, Seen]


class Asker(Protocol):
    """
    Asks a broker. Each generator yields until the answer is there.

    They raise `UnansweredError` and `RefusedError`, and nothing else.
    """

    def serve(self) -> None:
        """Let the driver do what it does in our thread; returns at once."""

    def describe(self) -> Answer:
        """Ask for the partitions and the topic's id; without extents."""

    def measure(self, partitions: frozenset[int]) -> Generator[None, None, Mapping[int, Extent]]:
        """Ask where *partitions* begin and end; those that cannot tell now are left out."""


class Discovery:
    """
    Finds the partitions of one topic, and notices what becomes of them.

    Args:
        asker: Belongs to the caller.
        topic: Its name.
        servers: As the operator wrote them, for messages.
        weather: Is told how the looks went.
        period: Seconds between looks when all is well.
        measured: Whether it matters where partitions begin and end: to who only sends it does not.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        asker: Asker,
        topic: str,
        *,
        servers: str,
        weather: Weather,
        period: float,
        measured: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker = asker
        self._topic = topic
        self._servers = servers
        self._weather = weather
        self._period = period
        self._retry = min(RETRY, period)
        self._clock = clock
        self._lookout = Lookout(topic, measured=measured)
        self._look: Answer | None = None
        self._began = 0.0
        self._due = self._serve_at = float("-inf")

    def patience(self, left: float) -> float:
        """Return for how many of the *left* seconds a driver may be waited for at once."""
        hurried = self._look is not None and self._clock() - self._began < PATIENCE
        return max(0.0, min(left, _SHORT_SLICE if hurried else _SLICE))

    def hurry(self) -> None:
        """Look as soon as the look that is under way, if one is, has ended."""
        self._due = float("-inf")

    def stray(self, partition: int, position: int) -> None:
        """Note that *position* is not in the log: a look at once tells where the log is."""
        self._lookout.stray(partition, position)
        self.hurry()

    def settle(self, partition: int) -> None:
        """Note that *partition* is read from another position now."""
        self._lookout.settle(partition)

    def stop(self) -> None:
        """Drop the look that is under way, and its hold on what it asks with."""
        if self._look is not None:
            self._look.close()
            self._look = None

    def use(self, asker: Asker) -> None:
        """Ask with *asker* from now on."""
        self.stop()
        self._asker = asker
        self.hurry()

    def step(self) -> Sequence[Fault]:
        """Go on with the look, if there is one or one is due; return what it found."""
        now = self._clock()
        if self._look is None:
            if now >= self._serve_at:
                self._serve_at = now + _SERVE
                self._asker.serve()
                if not self._weather.fair:
                    self._due = min(self._due, now)
            if now < self._due:
                return ()
            self._began, self._due = now, now + self._retry
            self._look = self._look_around()
        else:
            self._asker.serve()
        try:
            next(self._look)
        except StopIteration as ended:
            self._look = None
            return self._judge(ended.value)
        except UnansweredError:
            self._look = None
            # Whether the broker is down whoever reads tells better.
            self._weather.unanswered()
        except RefusedError as exc:
            self._look = None
            self._trouble(exc.cause)
        return ()

    def _look_around(self) -> Answer:
        seen = yield from self._asker.describe()
        unmeasured = self._lookout.unmeasured(seen.partitions or (), seen.topic_id)
        if not unmeasured:
            return seen
        extents = yield from self._asker.measure(unmeasured)
        return Seen(
            partitions=seen.partitions,
            topic_id=seen.topic_id,
            cluster_id=seen.cluster_id,
            extents=extents,
        )

    def _judge(self, seen: Seen) -> Sequence[Fault]:
        hurried = self._due == float("-inf")
        faults = self._lookout.judge(seen)
        if self._lookout.is_complete(seen) and not hurried:
            self._due = self._clock() + self._period
        if seen.partitions is None:
            self._trouble(causes.topic_missing(self._topic, self._servers))
        else:
            self._weather.seen(connection_line(self._servers, self._topic, seen))
        return faults

    def _trouble(self, cause: Cause) -> None:
        self._weather.clear(Layer.CONNECTION)
        self._weather.trouble(Layer.TOPIC, cause)
