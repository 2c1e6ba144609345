"""``filesync publish``: what the operator sees of `Publisher`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import Any

from filesync._outcomes import HealthChanged
from filesync._sending import Parting, Shipment, ShipmentEnded
from filesync._settings import Settings
from filesync.exceptions import PublishError, TransportError
from filesync.runtime._publisher import FileToSend, Publisher

__all__ = ["publish"]

#: Bytes in all above which it is said how they come about.
_LARGE = 1 << 30

#: Seconds between two progress lines where no bar can be drawn.
_EVERY = 10.0


def publish(
    settings: Settings,
    *,
    files: Sequence[str],
    to: Sequence[str],
    chunk_bytes: int,
    timeout: float,
    generation: int | None,
    dry_run: bool,
) -> list[ShipmentEnded]:
    """
    Send *files*, ``FILE`` or ``NAME=FILE``, to the hosts *to*, ``HOST`` or ``@FILE``.

    Returns:
        What became of each; nothing after *dry_run*.

    Raises:
        PublishError: Something cannot be sent; nothing was.
        TransportError: As `Publisher.publish`.
    """
    wanted = [_file(word) for word in files]
    hosts = [host for word in to for host in _hosts(word)]
    screen = _Screen()
    try:
        publisher = Publisher(
            settings,
            tell=screen.tell,
            progress=screen.progress,
            chunk_bytes=chunk_bytes,
            timeout=timeout,
        )
    except (TransportError, ValueError) as exc:
        raise PublishError(str(exc)) from exc
    if dry_run:
        shipments = publisher.check(wanted, hosts, generation=generation)
        _say_what_it_costs(shipments)
        for shipment in shipments:
            print(f"would send {shipment}: {_shown(shipment.size)}, chunks: {shipment.count}")
        return []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        publisher.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with publisher, contextlib.closing(screen):
        try:
            publisher.open()
        except TransportError as exc:  # Nothing was sent yet: the settings are at fault.
            raise PublishError(str(exc)) from exc
        ended = publisher.publish(wanted, hosts, generation=generation, planned=_say_what_it_costs)
    unsent = [each for each in ended if each.parting is not Parting.SENT]
    if unsent:
        print(f"filesync: {len(unsent)} of {len(ended)} were not sent", file=sys.stderr)
    return ended


class _Screen:
    """Shows on a terminal a bar, if tqdm is there to draw it; elsewhere a line now and then."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._line_at = time.monotonic() + _EVERY
        self._tqdm: Any = None
        if sys.stderr.isatty():
            with contextlib.suppress(ModuleNotFoundError):
                import tqdm  # noqa: PLC0415 - of an extra.

                self._tqdm = tqdm.tqdm

    def tell(self, told: ShipmentEnded | HealthChanged) -> None:
        """Show what became of a file, or of the connection."""
        good = told.up if isinstance(told, HealthChanged) else told.parting is Parting.SENT
        line = str(told)
        if isinstance(told, ShipmentEnded) and good:
            line = f"{line} ({_shown(told.shipment.size)})"
        stream = sys.stdout if good else sys.stderr
        if self._bar is None:
            print(line, file=stream, flush=True)
        else:
            self._bar.write(line, file=stream)

    def progress(self, acknowledged: int, total: int) -> None:
        """Show how far it is."""
        if self._tqdm is not None:
            if self._bar is None:
                self._bar = self._tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024)
            self._bar.update(acknowledged - self._bar.n)
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + _EVERY
            print(f"{_shown(acknowledged)} of {_shown(total)} acknowledged", flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()


def _say_what_it_costs(shipments: Sequence[Shipment]) -> None:
    total = sum(shipment.size for shipment in shipments)
    hosts = len({shipment.hostname for shipment in shipments})
    if hosts > 1 and total > _LARGE:
        print(
            f"{_shown(total)} will be sent and stored: {hosts} copies of "
            f"{_shown(total // hosts)}, one for each host",
            file=sys.stderr,
        )


def _file(word: str) -> FileToSend:
    """Return what ``FILE`` or ``NAME=FILE`` stands for; a file that is there wins."""
    name, equals, path = word.partition("=")
    if equals and not os.path.exists(word):
        return FileToSend(path, name)
    return FileToSend(word)


def _hosts(word: str) -> list[str]:
    """Return the host, or for ``@FILE`` those in it: one in a line, ``#`` begins a remark."""
    if not word.startswith("@"):
        return [word]
    path = word[1:]
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except (OSError, UnicodeDecodeError) as exc:
        raise PublishError(f"--to {word}: {exc}") from exc
    return [line for line in lines if line]


def _shown(size: float) -> str:
    """Return *size* bytes for people."""
    if size < 10_000:
        return f"{size} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1000 or unit == "GiB":
            break
    return f"{size:.1f} {unit}"
