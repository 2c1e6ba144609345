"""
The interpreter: every effect becomes an action, every happening an event.

Nothing is decided here. What takes microseconds is done at once; the rest is
started on a lane. `World` belongs to one thread; only `wake` and `ask_to_stop`
may be called from others. A foreign loop drives it in three lines::

    for event in world.wait():
        for effect in engine.handle(event):
            world.carry_out(effect)
"""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable
from functools import partial

from attrs import frozen

from filesync._effects import (
    ActionFinished,
    AppendChunk,
    AppendFailed,
    Assign,
    BatchPolled,
    CommitFile,
    CommitOffsets,
    DropTransfer,
    Effect,
    Event,
    Finish,
    HealthSeen,
    JournalSaved,
    OffsetsCommitted,
    Opened,
    PlanEnded,
    PollAgain,
    Report,
    RunAction,
    SaveJournal,
    StopAsked,
    StopPolling,
    WakeAt,
    Woke,
)
from filesync._model import ChangedFile, TransferKey
from filesync._outcomes import Outcome
from filesync._plan import Failed, Plan
from filesync._settings import Settings
from filesync.daemon import ActionKind, ActionResult, Daemon, Misconfigured
from filesync.runtime._journal import Journal
from filesync.runtime._lanes import Completions, Lane
from filesync.runtime._posix import Posix
from filesync.runtime._replacer import Replacer
from filesync.runtime._root import BAD_PLACES, Root
from filesync.runtime._spool import Digest, Spool
from filesync.transport import Health, Matcher, Transport

__all__ = ["World"]

#: Seconds that one poll may wait: a signal or a stop is noticed then.
_LONGEST_POLL = 0.5
#: While something is under way, its end should be noticed soon.
_SHORTEST_POLL = 0.01
_MAX_RECORDS = 500


@frozen(kw_only=True)
class _Lanes:
    """Data files, configurations, the journal's own entries, the daemon, the broker's group."""

    files: Lane
    check: Lane
    journal: Lane
    daemon: Lane
    offsets: Lane

    def all(self) -> tuple[Lane, ...]:
        return self.files, self.check, self.journal, self.daemon, self.offsets


class World:
    """
    Everything that the engine's effects act on.

    Args:
        settings: As the engine has them.
        transport: Where records come from; it is started, and closed at the end.
        daemon: Whose files these are.
        wanted: The engine's matcher.
        tell: Is handed every outcome, by the thread that owns this.
        posix: The file-system calls.

    Raises:
        FilesInUseError: Another process has files-dir.
        FilesDirError: files-dir or its journal cannot be used.
        TransportError: The transport cannot start as it is configured.
    """

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        daemon: Daemon,
        *,
        wanted: Matcher,
        tell: Callable[[Outcome], None],
        posix: Posix | None = None,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._daemon = daemon
        self._wanted = wanted
        self._tell = tell
        with contextlib.ExitStack() as undo:
            self._root = Root(settings.kafka.files_dir, posix or Posix())
            undo.callback(self._root.close)
            self._journal = Journal(self._root)
            undo.callback(self._journal.close)
            self._spool = Spool(self._root, settings.limits.free_space_bytes)
            self._spool.sweep()
            transport.start()
            undo.pop_all()
        self._replacer = Replacer(
            root=self._root,
            journal=self._journal,
            spool=self._spool,
            daemon=daemon,
            config_bytes=settings.limits.config_bytes,
            config_depth=settings.limits.config_depth,
            wall=time.time,
        )
        self._completions = Completions()
        lane = partial(Lane, completions=self._completions)
        self._lanes = _Lanes(
            files=lane("files"),
            check=lane("check"),
            journal=lane("journal"),
            daemon=lane("daemon"),
            offsets=lane("offsets"),
        )
        self._opened = False
        self._polling = True
        self._alarm = float("inf")
        self._first_health = transport.health()
        self._health: Health | None = None
        self._stop_wanted = False
        self._stop_told = False
        self.finished = False

    # Events

    def wait(self) -> list[Event]:
        """Return what happened; wait for something to happen, but for half a second at most."""
        if not self._opened:
            self._opened = True
            return [Opened(time.monotonic(), self._journal.ledger)]
        events = self._completions.take()
        if self._stop_wanted and not self._stop_told:
            self._stop_told = True
            events.append(StopAsked(time.monotonic()))
        # What happened may be a reason to read nothing more.
        if not events and self._polling:
            events += self._poll(_LONGEST_POLL)
        elif not events:
            self._completions.wait(self._patience(_LONGEST_POLL))
        health = self._transport.health()
        now = time.monotonic()
        if health is not self._health:
            self._health = health
            # That it is not connected yet is no news.
            if health.up or health is not self._first_health:
                events.append(HealthSeen(now, health))
        if now >= self._alarm:
            self._alarm = float("inf")
            events.append(Woke(now))
        return events

    def wake(self) -> None:
        """Make a running or the next `wait` return early. From any thread."""
        self._transport.wake()
        self._completions.wake()

    def ask_to_stop(self) -> None:
        """Let the engine come to an orderly end. From any thread or signal handler."""
        self._stop_wanted = True
        self.wake()

    def _poll(self, most: float) -> list[Event]:
        if self._completions.outstanding:
            most = min(most, _SHORTEST_POLL)
        timeout = self._patience(most)
        polled = self._transport.poll(timeout, _MAX_RECORDS, self._wanted)
        if polled.records or polled.positions or polled.faults or polled.passed_over:
            return [BatchPolled(time.monotonic(), time.time(), polled)]
        return []

    def _patience(self, most: float) -> float:
        return max(0.0, min(most, self._alarm - time.monotonic()))

    # Effects

    def carry_out(self, effect: Effect) -> None:
        """Do what *effect* says, or start it. Decide nothing, wait for nothing."""
        match effect:
            case AppendChunk():
                self._append(effect)
            case Assign(positions):
                self._transport.assign(positions)
            case WakeAt(at):
                self._alarm = at
            case StopPolling():
                self._polling = False
            case PollAgain():
                self._polling = True
            case Report(outcome):
                self._tell(outcome)
            case Finish():
                self.finished = True
            case DropTransfer(transfer, name):
                self._spool.forget(transfer)
                self._lanes.files.start(partial(self._remove, transfer, name))
            case CommitFile(plan):
                lane = self._lanes.check if plan.checked else self._lanes.files
                hashed = self._spool.seal(plan.transfer, plan.segments)
                lane.start(partial(self._commit, plan, hashed))
            case RunAction():
                self._lanes.daemon.start(partial(self._act, effect))
            case SaveJournal():
                self._lanes.journal.start(partial(self._save, effect))
            case CommitOffsets():
                self._lanes.offsets.start(partial(self._commit_offsets, effect))

    def close(self, timeout: float) -> None:
        """Release everything, within about *timeout* seconds."""
        deadline = time.monotonic() + timeout
        self._daemon.stop()
        for lane in self._lanes.all():
            lane.close(max(0.0, deadline - time.monotonic()))
        try:
            self._transport.close(max(0.1, deadline - time.monotonic()))
        finally:
            self._spool.close()
            self._journal.close()
            self._root.close()

    # What runs inline

    def _append(self, effect: AppendChunk) -> None:
        try:
            self._spool.append(effect)
        except OSError as exc:
            error = BAD_PLACES.get(exc.errno or 0)
            passing = error is None
            failed = AppendFailed(
                time.monotonic(), effect, error or exc.strerror or str(exc), passing
            )
            self._completions.expect()
            self._completions.done(failed)

    # What runs on lanes: each ends in one event, whatever happens

    def _remove(self, transfer: TransferKey, name: str) -> None:
        self._replacer.forget(transfer)
        with contextlib.suppress(OSError):  # Swept at the next start, then.
            self._spool.remove(transfer, name)

    def _commit(self, plan: Plan, hashed: Digest) -> Event:
        try:
            result = self._replacer.perform(plan, hashed)
        except Exception:  # noqa: BLE001 - the event must come.
            visible = self._replacer.is_visible(plan.transfer)
            result = Failed(detail=_unexpected(), visible=visible)
        return PlanEnded(time.monotonic(), plan.id, result)

    def _act(self, effect: RunAction) -> Event:
        changed = [
            ChangedFile(
                name=file.name,
                path=self._root.absolute(file.name),
                digest=file.digest,
                kind=file.kind,
            )
            for file in effect.files
        ]
        reload = effect.action is ActionKind.RELOAD
        act = self._daemon.reload if reload else self._daemon.renew
        result: ActionResult
        try:
            result = act(changed, effect.timeout)
        except Exception:  # noqa: BLE001 - the event must come.
            result = Misconfigured(_unexpected())
        return ActionFinished(time.monotonic(), effect.id, result)

    def _save(self, effect: SaveJournal) -> Event:
        error = None
        try:
            self._journal.append(effect.entries)
        except OSError as exc:
            error = f"the journal cannot be written: {exc.strerror or exc}"
        return JournalSaved(time.monotonic(), effect.id, error)

    def _commit_offsets(self, effect: CommitOffsets) -> Event:
        try:
            error = self._transport.commit_offsets(effect.offsets).error
        except Exception:  # noqa: BLE001 - the event must come.
            error = _unexpected()
        return OffsetsCommitted(time.monotonic(), effect.id, error)


def _unexpected() -> str:
    """Describe the exception at hand, which is a bug, in one line."""
    lines = traceback.format_exc().strip().splitlines()
    return f"a bug in filesync or in an adapter: {lines[-1].strip()} ({lines[-3].strip()})"
