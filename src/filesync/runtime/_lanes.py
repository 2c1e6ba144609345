"""
Lanes: one ordered worker each for what may take a millisecond or more.

What is started on a lane ends in exactly one event, whatever happens to it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from filesync._effects import Event

__all__ = ["Completions", "Lane"]


class Completions:
    """The events of what was started, and how many are still to come."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: deque[Event] = deque()
        self._outstanding = 0
        self._woken = False

    @property
    def outstanding(self) -> int:
        """How many events are still to come, or to be taken."""
        with self._changed:
            return self._outstanding + len(self._events)

    def expect(self) -> None:
        """Something was started."""
        with self._changed:
            self._outstanding += 1

    def done(self, event: Event | None) -> None:
        """What was started ended; None: nobody needs to know."""
        with self._changed:
            self._outstanding -= 1
            if event is not None:
                self._events.append(event)
            self._changed.notify_all()

    def take(self) -> list[Event]:
        """Return the events that came, in order."""
        with self._changed:
            events = list(self._events)
            self._events.clear()
            return events

    def wake(self) -> None:
        """End a running or the next `wait`."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Wait until an event comes, `wake` is called or *timeout* seconds have passed."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._woken, timeout)
            self._woken = False


class Lane:
    """One thread that performs one thing after another."""

    def __init__(self, name: str, completions: Completions) -> None:
        self._completions = completions
        self._jobs: SimpleQueue[Callable[[], Event | None] | None] = SimpleQueue()
        # A job that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"filesync-{name}", daemon=True)
        self._thread.start()

    def start(self, job: Callable[[], Event | None]) -> None:
        """Perform *job* after all that was started before; its answer is the event."""
        self._completions.expect()
        self._jobs.put(job)

    def close(self, timeout: float) -> bool:
        """End after what was started; say whether that took less than *timeout* seconds."""
        self._jobs.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._completions.done(job())
