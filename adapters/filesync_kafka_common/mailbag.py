"""
Records that are on their way, until it is known what became of each.

Theory. A driver tells it in a thread of its own, or never: then their time is
over nevertheless. So whoever sends asks the bag, which answers for every
ticket exactly once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

from filesync import TopicPartition
from filesync.producer import Acknowledged, Delivery, NotDelivered, TopicLost
from filesync.transport import Fault, PartitionLost, TopicRecreated

__all__ = ["Mailbag"]

#: Of its time; the rest of it went by while others were still acknowledged.
_NEARLY = 0.9


class Mailbag:
    """
    What is under way. From any thread.

    Args:
        timeout: Seconds that a record has.
        clock: Monotonic seconds.
        grace: Seconds more after which it is overdue: the driver has not told it in time.
    """

    def __init__(
        self,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        grace: float = 0.0,
    ) -> None:
        self._timeout = timeout
        self._grace = grace
        self._clock = clock
        self._changed = threading.Condition()
        # By ticket, when it went out: in that order, so the oldest is the first.
        self._sent_at: dict[int, float] = {}
        self._deliveries: list[Delivery] = []
        # Whether something went out since the topic was lost.
        self._used = False

    @property
    def overdue(self) -> bool:
        """Whether nothing was heard of the oldest record in its time."""
        with self._changed:
            oldest = next(iter(self._sent_at.values()), None)
        return oldest is not None and self._clock() - oldest >= self._timeout + self._grace

    def put(self, ticket: int) -> None:
        """Note that the record of *ticket* goes out now."""
        with self._changed:
            self._sent_at[ticket] = self._clock()
            self._used = True

    def acknowledged(self, ticket: int, source: TopicPartition, offset: int) -> None:
        """Note that the log has it."""
        self._settle(Acknowledged(ticket=ticket, source=source, offset=offset))

    def failed(self, ticket: int, why: str, *, silence: bool = False) -> None:
        """Note that it is not acknowledged, and will not be; *silence*: nothing was heard of it."""
        with self._changed:
            overdue = silence and self._is_late(ticket)
        self._settle(NotDelivered(ticket=ticket, why=why, overdue=overdue))

    def give_up(self, why: str, *, silence: bool = False) -> None:
        """Note that nothing will be heard of all that is under way; *silence*: and nothing was."""
        with self._changed:
            self._deliveries += [
                NotDelivered(ticket=ticket, why=why, overdue=silence and self._is_late(ticket))
                for ticket in self._sent_at
            ]
            self._sent_at.clear()
            self._changed.notify_all()

    def heed(self, faults: Iterable[Fault]) -> bool:
        """Give up what is under way if the topic that it went to is gone; return whether it is."""
        gone = any(isinstance(fault, TopicRecreated | PartitionLost) for fault in faults)
        if not gone or not self._used:
            return False
        why = "the topic was deleted while files were sent: send all of them again"
        with self._changed:
            self._used = False
            self._deliveries.append(TopicLost(why=why))
        self.give_up(why)
        return True

    def take(self, timeout: float = 0.0) -> Sequence[Delivery]:
        """Return what became known; wait for it for *timeout* seconds at most."""
        with self._changed:
            if timeout > 0:
                self._changed.wait_for(lambda: self._deliveries, timeout)
            taken, self._deliveries = self._deliveries, []
            return taken

    def _is_late(self, ticket: int) -> bool:
        sent_at = self._sent_at.get(ticket)
        return sent_at is not None and self._clock() - sent_at >= self._timeout * _NEARLY

    def _settle(self, delivery: Acknowledged | NotDelivered) -> None:
        with self._changed:
            # What was given up before may be told late.
            if self._sent_at.pop(delivery.ticket, None) is not None:
                self._deliveries.append(delivery)
                self._changed.notify_all()
