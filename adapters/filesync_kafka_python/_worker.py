"""A thread that does one blocking thing after another, and never holds up the end."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

__all__ = ["Worker"]

_Result = TypeVar("_Result")

_Job = Callable[[], None]


class Worker:
    """
    Does what it is given, in order.

    Unlike an executor of the standard library it does not keep a process from
    ending, and `close` waits for nothing.

    Args:
        name: Of its thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def start(self, job: Callable[[], _Result]) -> Future[_Result]:
        """Have *job* done; the future ends with what it returns or raises."""
        future: Future[_Result] = Future()

        def do() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = job()
            except BaseException as exc:  # noqa: BLE001 - whoever waits is told.
                future.set_exception(exc)
            else:
                future.set_result(result)

        self._jobs.put(do)
        return future

    def close(self) -> None:
        """End after what is under way."""
        self._jobs.put(None)

    def join(self, timeout: float) -> None:
        """Wait for the end, but at most *timeout* seconds."""
        self._thread.join(timeout)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
