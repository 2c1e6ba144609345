"""``filesync publish``: what the operator sees of `Publisher`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from types import FrameType
from typing import Any

from filesync._outcomes import HealthChanged
from filesync._sending import Parting, Shipment, ShipmentEnded
from filesync._settings import Settings
from filesync.exceptions import PublishError, TransportError
from filesync.producer import open_producer
from filesync.runtime._check import offline, try_out
from filesync.runtime._publisher import FileToSend, Publisher

__all__ = ["Screen", "publish"]

#: Bytes in all above which it is said how they come about.
_LARGE = 1 << 30

#: Seconds between two progress lines where no bar can be drawn.
_EVERY = 10.0

#: What a publisher's error begins with when no topic was had in time.
_NOTHING = "nothing was published"


def publish(
    settings: Settings,
    screen: Screen,
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

    A signal cancels it; a second one ends the process at once.

    Returns:
        What became of each; nothing after *dry_run*.

    Raises:
        PublishError: Something cannot be sent; nothing was.
        TransportError: As `Publisher.publish`.
    """
    wanted = [_file(word) for word in files]
    hosts = [host for word in to for host in _hosts(word)]
    told_costs = partial(_say_what_it_costs, screen)
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
        _try_driver(settings, timeout)
        shipments = publisher.check(wanted, hosts, generation=generation)
        told_costs(shipments)
        for shipment in shipments:
            screen.say(f"would send {shipment}: {_shown(shipment.size)}, chunks: {shipment.count}")
        return []

    def stop(_signal: int, _frame: FrameType | None) -> None:
        publisher.cancel()
        _on_signals(signal.SIG_DFL)

    _on_signals(stop)
    with publisher, contextlib.closing(screen):
        try:
            publisher.open()
        except TransportError as exc:  # Nothing was sent yet: the settings are at fault.
            raise PublishError(str(exc)) from exc
        try:
            ended = publisher.publish(wanted, hosts, generation=generation, planned=told_costs)
        except TransportError as exc:
            raise TransportError(screen.not_twice(str(exc)), retriable=exc.retriable) from exc
    unsent = [each for each in ended if each.parting is not Parting.SENT]
    if unsent:
        screen.warn(f"filesync: {len(unsent)} of {len(ended)} were not sent")
    return ended


def _try_driver(settings: Settings, timeout: float) -> None:
    with offline(settings) as alone:
        try:
            try_out(open_producer(alone.driver, alone, timeout=timeout))
        except TransportError as exc:
            raise PublishError(str(exc)) from exc


def _on_signals(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handler)


class Screen:
    """
    Shows on a terminal a bar, if tqdm is there to draw it; elsewhere a line now and then.

    A terminal that has gone gets no more of the bar: tqdm sees to that.

    Args:
        say: Is handed lines about what is fine; like *warn* it must not raise.
        warn: Is handed lines about what is not.
    """

    def __init__(self, say: Callable[[str], object], warn: Callable[[str], object]) -> None:
        self.say = say
        self.warn = warn
        self._bar: Any = None
        self._line_at = time.monotonic() + _EVERY
        self._tqdm: Any = None
        self._health: HealthChanged | None = None
        if sys.stderr is not None and sys.stderr.isatty():
            with contextlib.suppress(ModuleNotFoundError):
                import tqdm  # noqa: PLC0415 - of an extra.

                self._tqdm = tqdm.tqdm

    def tell(self, told: ShipmentEnded | HealthChanged) -> None:
        """Show what became of a file, or of the connection."""
        line = str(told)
        if isinstance(told, HealthChanged):
            self._health = told
            good = told.up
        else:
            good = told.parting is Parting.SENT
            line = f"{line} ({_shown(told.shipment.size)})" if good else line
        if self._bar is not None:
            self._bar.clear()
        (self.say if good else self.warn)(line)
        if self._bar is not None:
            self._bar.refresh()

    def progress(self, acknowledged: int, total: int) -> None:
        """Show how far it is."""
        if self._tqdm is not None:
            if self._bar is None:
                self._bar = self._tqdm(total=total, unit="B", unit_scale=True, unit_divisor=1024)
            self._bar.update(acknowledged - self._bar.n)
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + _EVERY
            self.say(f"{_shown(acknowledged)} of {_shown(total)} acknowledged")

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.close()

    def not_twice(self, problem: str) -> str:
        """Return why nothing was published, without a cause that was told already."""
        if self._health is not None:
            return problem.replace(f"{_NOTHING}: {self._health.detail} (", f"{_NOTHING} (", 1)
        if problem.startswith(f"{_NOTHING}: connecting to "):
            return f"{problem}; no cause is known yet: try a longer --timeout"
        return problem


def _say_what_it_costs(screen: Screen, shipments: Sequence[Shipment]) -> None:
    total = sum(shipment.size for shipment in shipments)
    hosts = len({shipment.hostname for shipment in shipments})
    if hosts > 1 and total > _LARGE:
        screen.warn(
            f"{_shown(total)} will be sent and stored: {hosts} copies of "
            f"{_shown(total // hosts)}, one for each host"
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
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except OSError as exc:
        raise PublishError(f"--to {word}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise PublishError(f"--to {word}: {path} is not UTF-8") from exc
    hosts = [line for line in lines if line]
    if not hosts:
        raise PublishError(f"--to {word}: {path} names no host")
    return hosts


def _shown(size: float) -> str:
    """Return *size* bytes for people."""
    if size < 10_000:
        return f"{size} bytes"
    for unit in ("KiB", "MiB", "GiB"):
        size /= 1024
        if size < 1000 or unit == "GiB":
            break
    return f"{size:.1f} {unit}"
