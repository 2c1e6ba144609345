"""Files that are sent to a real log record by record, and what is told when all is well."""

from __future__ import annotations

from support.real_log import RealLog

__all__ = ["FINE", "LogSender", "headers_of"]

#: What is told when all is well.
FINE = {"committed", "caught_up", "renew_served"}


class LogSender:
    """Sends files to partition 0 of *topic*, or another one, and waits until each is there."""

    def __init__(self, log: RealLog, topic: str) -> None:
        self._log = log
        self._topic = topic

    def file(self, name: str, data: bytes = b"x", *, partition: int = 0) -> None:
        """Send a file in one record."""
        self._log.publish(self._topic, data, headers=headers_of(name), partition=partition)

    def chunk(self, name: str, index: int, count: int, data: bytes) -> None:
        """Send one chunk; *index* is from 1."""
        headers = headers_of(name, ("total-chunks", b"%d" % count), ("chunk-index", b"%d" % index))
        self._log.publish(self._topic, data, headers=headers)


def headers_of(name: str, *more: tuple[str, bytes]) -> list[tuple[str, bytes | None]]:
    """Return what a record says that carries a file, or a chunk, to the host ns1."""
    return [("hostname", b"ns1"), ("file-name", name.encode()), *more]
