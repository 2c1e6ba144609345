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
from filesync.producer import Acknowledged, Delivery, NotDelivered
from filesync.transport import Fault, PartitionLost, TopicRecreated

__all__ = ["Mailbag"]


class Mailbag:
    """
    What is under way. From any thread.

    Args:
        timeout: Seconds after which a record is overdue.
        clock: Monotonic seconds.
    """

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._timeout = timeout
        self._clock = clock
        self._changed = threading.Condition()
        # By ticket, when it is overdue: in the order of sending, so the oldest is the first.
        self._due: dict[int, float] = {}
        self._deliveries: list[Delivery] = []

    @property
    def overdue(self) -> bool:
        """Whether nothing was heard of the oldest record in its time."""
        with self._changed:
            oldest = next(iter(self._due.values()), None)
        return oldest is not None and self._clock() >= oldest

    def put(self, ticket: int) -> None:
        """Note that the record of *ticket* goes out now."""
        with self._changed:
            self._due[ticket] = self._clock() + self._timeout

    def acknowledged(self, ticket: int, source: TopicPartition, offset: int) -> None:
        """Note that the log has it."""
        self._settle(Acknowledged(ticket=ticket, source=source, offset=offset))

    def failed(self, ticket: int, why: str) -> None:
        """Note that it is not acknowledged, and will not be."""
        self._settle(NotDelivered(ticket=ticket, why=why))

    def give_up(self, why: str) -> None:
        """Note that nothing will be heard of all that is under way."""
        with self._changed:
            self._deliveries += [NotDelivered(ticket=ticket, why=why) for ticket in self._due]
            self._due.clear()
            self._changed.notify_all()

    def heed(self, faults: Iterable[Fault]) -> None:
        """Give up what is under way if the topic that it goes to is gone."""
        if any(isinstance(fault, TopicRecreated | PartitionLost) for fault in faults):
            self.give_up("the topic was deleted while it was sent: send it again")

    def take(self, timeout: float = 0.0) -> Sequence[Delivery]:
        """Return what became known; wait for it for *timeout* seconds at most."""
        with self._changed:
            if timeout > 0:
                self._changed.wait_for(lambda: self._deliveries, timeout)
            taken, self._deliveries = self._deliveries, []
            return taken

    def _settle(self, delivery: Delivery) -> None:
        with self._changed:
            # What was given up before may be told late.
            if self._due.pop(delivery.ticket, None) is not None:
                self._deliveries.append(delivery)
                self._changed.notify_all()
