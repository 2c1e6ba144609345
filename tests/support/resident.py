"""
A receiver inside the test's own process: its outcomes are values, its daemon always agrees.

It looks at the topic several times a second, so that a test need not wait for
what a host would notice within half a minute. `support.host` has the other
kind, a process that can be killed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from filesync import (
    ChangedFile,
    KafkaSettings,
    Outcome,
    Schedule,
    Settings,
    Start,
    Stats,
    TopicPartition,
)
from filesync._ledger import Ledger
from filesync.daemon import ActionResult, CheckPassed, CheckResult, Served
from filesync.runtime import Receiver
from filesync.transport import Transport
from support.pieces import ledger_of
from support.waiting import eventually

__all__ = ["DRIVERS", "Resident", "open_on"]

#: Seconds between two looks at the topic: production's would be long for a test.
_REFRESH = 0.3

#: By driver: it comes back sooner than in production.
_OPTIONS: Mapping[str, Mapping[str, object]] = {
    "confluent-kafka": {"reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100},
    "kafka-python": {"reconnect_backoff_ms": 50, "reconnect_backoff_max_ms": 100},
}

DRIVERS = tuple(_OPTIONS)

_PATIENCE = 60.0

_HEALTH = "health_changed"


def open_on(driver: str, settings: Settings) -> Transport:
    """Return the transport of *driver*, which looks at the topic often."""
    if driver == "confluent-kafka":
        from filesync_confluent_kafka import ConfluentKafkaTransport  # noqa: PLC0415

        return ConfluentKafkaTransport(settings, refresh=_REFRESH)
    from filesync_kafka_python import KafkaPythonTransport  # noqa: PLC0415

    return KafkaPythonTransport(settings, refresh=_REFRESH)


class _Agreeable:
    """A daemon that takes whatever it is given, and remembers it."""

    def __init__(self) -> None:
        self.actions: list[tuple[str, tuple[str, ...]]] = []

    def check(self, staged: str, name: str) -> CheckResult:
        return CheckPassed()

    def reload(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        return self._serve("reload", changed)

    def renew(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        return self._serve("renew", changed)

    def stop(self) -> None:
        pass

    def _serve(self, action: str, changed: Sequence[ChangedFile]) -> ActionResult:
        self.actions.append((action, tuple(file.name for file in changed)))
        return Served("agreed")


class Resident:
    """
    A receiver of one topic, and its files-dir; may be started and stopped several times.

    Args:
        files_dir: Is made if it is not there.
        topic: What it reads.
        open_transport: Opens the transport for each start.
        address: Of the broker.
        start: Where reading starts when no position is known.

    Attributes:
        files_dir: Where files arrive.
        outcomes: All that was told, over all starts.
        actions: What the daemon was asked to do, with which files.
    """

    def __init__(
        self,
        files_dir: Path,
        topic: str,
        open_transport: Callable[[Settings], Transport],
        *,
        address: str = "localhost:9092",
        start: Start = Start.EARLIEST,
    ) -> None:
        files_dir.mkdir(parents=True, exist_ok=True)
        self.files_dir = files_dir
        self.outcomes: list[Outcome] = []
        self._daemon = _Agreeable()
        self._topic = topic
        self._open_transport = open_transport
        self._settings = Settings(
            hostname="ns1",
            kafka=KafkaSettings(
                topic=topic,
                servers=(address,),
                files_dir=str(files_dir),
                start=start,
                options=_OPTIONS,
            ),
            schedule=Schedule(quiet=0.0, max_wait=0.0, min_gap=0.0),
        )
        self._receiver: Receiver | None = None

    @property
    def actions(self) -> list[tuple[str, tuple[str, ...]]]:
        """What the daemon was asked to do, with which files."""
        return self._daemon.actions

    def start(self) -> None:
        """Receive until `stop`."""
        self._receiver = self._make(finish_when_caught_up=False)
        self._receiver.start()

    def stop(self) -> None:
        """End in good order; nothing to do if it does not run."""
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.stop()

    def read_to_the_end(self) -> Stats:
        """Receive what is there, and end; return what was known then."""
        receiver = self._make(finish_when_caught_up=True)
        receiver.start()
        ender = threading.Timer(_PATIENCE, receiver.ask_to_stop)
        ender.start()
        try:
            receiver.wait()
        finally:
            ender.cancel()
            ender.join()
        assert receiver.stats().caught_up, f"stuck: {receiver.stats()}"
        return receiver.stats()

    def stats(self) -> Stats:
        """Return what the running receiver knows."""
        assert self._receiver is not None
        return self._receiver.stats()

    def position(self, partition: int = 0) -> int | None:
        """Return the next offset that the running receiver reads in *partition*."""
        return self.stats().positions.get(TopicPartition(self._topic, partition))

    def told(self, *, but: Iterable[str] = (_HEALTH,)) -> list[str]:
        """Return the labels of all outcomes, in order; without those of the weather."""
        left_out = frozenset(but)
        return [outcome.label for outcome in self.outcomes if outcome.label not in left_out]

    def lines(self, label: str) -> list[str]:
        """Return what was told under *label*."""
        return [str(outcome) for outcome in self.outcomes if outcome.label == label]

    def wait_for(self, label: str, *, count: int = 1, file: str | None = None) -> None:
        """Wait until *label* was told *count* times, of *file* if one is given."""

        def there() -> bool:
            found = [
                outcome
                for outcome in list(self.outcomes)
                if outcome.label == label and file in {None, getattr(outcome, "name", None)}
            ]
            return len(found) >= count

        try:
            eventually(there, _PATIENCE, what=f"{count} times {label} of {file}")
        except AssertionError as exc:
            told = "\n".join(f"{outcome.label}: {outcome}" for outcome in self.outcomes)
            raise AssertionError(f"{exc}; told:\n{told}\n{self.stats()}") from None

    def wait_for_position(self, position: int, partition: int = 0) -> None:
        """Wait until *position* is the next offset that is read in *partition*."""
        try:
            eventually(lambda: self.position(partition) == position, _PATIENCE)
        except AssertionError:
            raise AssertionError(f"not at {position}: {self.stats()}") from None

    def files(self) -> dict[str, bytes]:
        """Return every file in files-dir, but for our own."""
        return {
            str(path.relative_to(self.files_dir)): path.read_bytes()
            for path in sorted(self.files_dir.rglob("*"))
            if path.is_file() and ".filesync" not in path.parts
        }

    def modes(self) -> dict[str, int]:
        """Return the permission bits of every file and directory but for our own."""
        return {
            str(path.relative_to(self.files_dir)): path.stat().st_mode & 0o7777
            for path in sorted(self.files_dir.rglob("*"))
            if ".filesync" not in path.parts
        }

    def ledger(self) -> Ledger:
        """Read the journal."""
        return ledger_of((self.files_dir / ".filesync" / "journal").read_bytes())

    def _make(self, *, finish_when_caught_up: bool) -> Receiver:
        return Receiver(
            self._settings,
            transport=self._open_transport(self._settings),
            daemon=self._daemon,
            tell=self.outcomes.append,
            finish_when_caught_up=finish_when_caught_up,
        )
