"""A host in this process: a log in memory, files-dir, a daemon that notes, and a receiver."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from filesync import (
    ActionEnded,
    CaughtUp,
    Ending,
    KafkaSettings,
    Outcome,
    Schedule,
    Settings,
    TransferEnded,
)
from filesync._ledger import Ledger
from filesync._model import ChangedFile
from filesync.daemon import ActionKind, ActionResult, CheckPassed, CheckResult, Served
from filesync.exceptions import TransportError
from filesync.runtime import Receiver
from filesync.runtime._journal import Journal
from filesync.runtime._memory import MemoryBroker, MemoryTransport
from filesync.runtime._posix import Posix
from filesync.runtime._root import Root

__all__ = ["PATIENCE", "QUIET", "TOPIC", "Daemon", "MemoryHost"]

TOPIC = "files"

#: Seconds until something that must happen has not happened.
PATIENCE = 10.0

QUIET = 0.2


class Daemon:
    """A daemon that serves whatever it is given, and notes what it was asked and when."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[ActionKind, list[ChangedFile], float]] = queue.Queue()
        self.meanwhile: Callable[[], object] = lambda: None

    def check(self, staged: str, name: str) -> CheckResult:
        """Accept everything."""
        self.meanwhile()
        return CheckPassed()

    def reload(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Serve it."""
        return self._act(ActionKind.RELOAD, changed)

    def renew(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Serve it."""
        return self._act(ActionKind.RENEW, changed)

    def stop(self) -> None:
        """Nothing runs."""

    def _act(self, kind: ActionKind, changed: Sequence[ChangedFile]) -> ActionResult:
        self.calls.put((kind, list(changed), time.monotonic()))
        self.meanwhile()
        return Served("seen")


class MemoryHost:
    """
    A log, a files-dir, a daemon, and the receiver between them.

    Attributes:
        seen: Every outcome so far that somebody waited past, and when it came.
    """

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        self.broker = MemoryBroker()
        self.broker.create_topic(TOPIC)
        self.daemon = Daemon()
        self.outcomes: queue.Queue[tuple[Outcome, float, str]] = queue.Queue()
        self.seen: list[tuple[Outcome, float, str]] = []
        self.receivers: list[Receiver] = []

    @property
    def settings(self) -> Settings:
        """Those of the host ns1; actions follow after `QUIET` seconds."""
        return Settings(
            hostname="ns1",
            kafka=KafkaSettings(topic=TOPIC, files_dir=str(self.files)),
            schedule=Schedule(quiet=QUIET, max_wait=PATIENCE, min_gap=0.0),
        )

    def tell(self, outcome: Outcome) -> None:
        """Take an outcome from the receiver's thread."""
        self.outcomes.put((outcome, time.monotonic(), threading.current_thread().name))

    def receiver(self, **options: Any) -> Receiver:
        """Return a receiver; it is ended with the test."""
        options.setdefault("tell", self.tell)
        options.setdefault("daemon", self.daemon)
        options.setdefault("transport", MemoryTransport(self.broker, TOPIC))
        receiver = Receiver(self.settings, **options)
        self.receivers.append(receiver)
        return receiver

    def start(self, **options: Any) -> Receiver:
        """Start a receiver, and wait until it has caught up."""
        receiver = self.receiver(**options)
        receiver.start()
        self.wait_for(CaughtUp)
        return receiver

    def send(
        self,
        name: str,
        *pieces: bytes,
        order: Sequence[int] | None = None,
        host: bytes = b"ns1",
    ) -> None:
        """Append a file to the log, in as many chunks as there are pieces."""
        for index in range(len(pieces)) if order is None else order:
            headers: list[tuple[str, bytes | None]] = [
                ("hostname", host),
                ("file-name", name.encode()),
            ]
            if len(pieces) > 1:
                headers += [
                    ("total-chunks", b"%d" % len(pieces)),
                    ("chunk-index", b"%d" % (index + 1)),
                ]
            self.broker.publish(TOPIC, pieces[index], headers=headers)

    def wait_for(
        self, kind: type[Outcome], wanted: Callable[[Any], bool] = lambda _: True
    ) -> tuple[Any, float]:
        """Return the next outcome of *kind* that is *wanted*, and when it came."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                entry = self.outcomes.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                seen = [str(outcome) for outcome, _, _ in self.seen]
                raise AssertionError(f"no {kind.__name__} came; there were {seen}") from None
            self.seen.append(entry)
            if isinstance(entry[0], kind) and wanted(entry[0]):
                return entry[0], entry[1]

    def wait_until(self, name: str, ending: Ending = Ending.COMMITTED) -> TransferEnded:
        """Wait until a transfer of *name* ended, as it must."""
        outcome, _ = self.wait_for(TransferEnded, lambda outcome: outcome.name == name)
        assert isinstance(outcome, TransferEnded)
        assert outcome.ending is ending, outcome
        return outcome

    def expect_action(self, kind: ActionKind, *names: str) -> float:
        """Wait for the daemon's next call; return when it came."""
        called, changed, at = self.daemon.calls.get(timeout=PATIENCE)
        assert (called, [file.name for file in changed]) == (kind, list(names))
        self.wait_for(ActionEnded)
        return at

    def read(self, name: str) -> bytes:
        """Return what is in a file."""
        return (self.files / name).read_bytes()

    def ledger(self) -> Ledger:
        """Read the journal, as the next process will."""
        with (
            contextlib.closing(Root(str(self.files), Posix())) as root,
            contextlib.closing(Journal(root)) as journal,
        ):
            return journal.ledger

    def close(self) -> None:
        """End every receiver."""
        for receiver in self.receivers:
            with contextlib.suppress(TransportError):
                receiver.stop()
