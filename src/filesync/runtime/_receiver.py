"""
The receiver: one thread that hands events to the engine and effects to the world.

::

    receiver = Receiver(settings)
    receiver.start()
    …
    receiver.stop()

It installs no signal handler and configures no logging, so that it can live
inside another program, an asyncio one too (`stop` waits: call it by
``asyncio.to_thread``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from filesync._engine import Engine
from filesync._outcomes import Outcome
from filesync._settings import Settings
from filesync._stats import Stats
from filesync.daemon import Daemon, open_daemon
from filesync.exceptions import SettingsError
from filesync.runtime._telling import Teller
from filesync.runtime._world import World
from filesync.transport import Transport, open_transport

__all__ = ["Receiver"]

#: Beyond what the engine waits for by itself when it is asked to stop.
_CLOSE_TIMEOUT = 10.0


class Receiver:
    """
    Receives files until it is stopped.

    Args:
        settings: What to receive, and where to put it.
        transport: Where records come from; None: as the settings say.
        daemon: Whose files these are; None: as the settings say.
        tell: Is handed every outcome, by the receiver's thread; None: they
            are logged. It should be quick, and must not raise.
        finish_when_caught_up: End by itself once all that was in the log at
            start is on disk, and served as far as that can be known.

    Raises:
        SettingsError: The daemon cannot be set up as the settings say.
        TransportError: The transport cannot be set up as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        transport: Transport | None = None,
        daemon: Daemon | None = None,
        tell: Callable[[Outcome], None] | None = None,
        finish_when_caught_up: bool = False,
    ) -> None:
        self._settings = settings
        self._transport = transport or open_transport(settings.driver, settings)
        self._daemon = daemon or _open_daemon(settings)
        self._tell = tell or Teller()
        self._engine = Engine(settings, finish_when_caught_up=finish_when_caught_up)
        self._mutex = threading.Lock()
        self._world: World | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._began = False

    def stats(self) -> Stats:
        """Return a snapshot of what is known. From any thread."""
        with self._mutex:
            return self._engine.stats()

    def open(self) -> None:
        """
        Take files-dir and start the transport; `run` or `start` do it if need be.

        What was opened and never ran, `stop` releases.

        Raises:
            FilesInUseError: Another process has files-dir.
            FilesDirError: files-dir cannot be used.
            TransportError: The transport cannot start as it is configured.
        """
        if self._world is None:
            self._world = World(
                self._settings,
                self._transport,
                self._daemon,
                wanted=self._engine.wanted,
                tell=self._tell,
            )

    def run(self) -> None:
        """
        Receive, in this thread, until `ask_to_stop` or the end of the log.

        Raises:
            FilesInUseError, FilesDirError: As `open`.
            TransportError: The transport is of no more use.
            RuntimeError: It has run before: make another one.
        """
        self._begin()
        self._run()

    def _begin(self) -> None:
        if self._began:
            raise RuntimeError("a receiver runs once: make another one")
        self.open()
        self._began = True

    def _run(self) -> None:
        world = self._world
        assert world is not None  # noqa: S101 - `open` has just set it.
        try:
            while not world.finished:
                for event in world.wait():
                    with self._mutex:
                        effects = self._engine.handle(event)
                    for effect in effects:
                        world.carry_out(effect)
        finally:
            world.close(_CLOSE_TIMEOUT)

    def start(self) -> None:
        """Receive, in a thread of its own. Raises what `open` raises, and as `run` if it ran."""
        self._begin()
        self._thread = threading.Thread(target=self._run_noting_errors, name="filesync-receiver")
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Begin an orderly end; returns at once. From any thread or signal handler."""
        if self._world is not None:
            self._world.ask_to_stop()

    def stop(self) -> None:
        """
        Come to an orderly end and wait for it: the step in hand is finished,
        positions are written.

        Raises:
            TransportError: The transport had failed for good before.
        """
        self.ask_to_stop()
        if self._world is not None and not self._began:
            self._began = True
            self._world.close(_CLOSE_TIMEOUT)
        self.wait()

    def wait(self) -> None:
        """
        Wait until the receiver has ended.

        Raises:
            TransportError: The transport failed for good.
        """
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _run_noting_errors(self) -> None:
        try:
            self._run()
        except BaseException as exc:  # noqa: BLE001 - raised by `wait` and `stop`.
            self._error = exc


def _open_daemon(settings: Settings) -> Daemon:
    try:
        return open_daemon(
            settings.daemon.adapter, settings.daemon.options, files_dir=settings.kafka.files_dir
        )
    except LookupError as exc:
        message = str(exc.args[0]) if exc.args else str(exc)
        raise SettingsError(message, source=settings.source, key="filesync.daemon.adapter") from exc
    except ValueError as exc:
        option, _, problem = str(exc).partition(": ")
        key = "filesync.daemon"
        if option not in settings.daemon.options:
            raise SettingsError(str(exc), source=settings.source, key=key) from exc
        raise SettingsError(problem, source=settings.source, key=f"{key}.{option}") from exc
