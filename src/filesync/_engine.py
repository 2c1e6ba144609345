"""
The core, wired: one event in, effects out.

Theory. A record goes one way: intake (codec, name policy, assembler),
committer, scheduler; positions and the keeper of the journal stand beside it.
The engine owns these machines, hands each what concerns it, and turns what
they answer into effects. It reads no clock and touches nothing, so that
whatever drives it (a thread, a foreign loop, a test) gets the same effects
for the same events.

Three laws hold at every moment:

* A transfer pins its partition from its first record to its outcome, so that
  no safe position is ever ahead of what is durable.
* A file that became visible wants an action until one that started later has
  succeeded, across restarts too: the need is in the journal.
* What is started is counted until its event arrives; the end (`Finish`) comes
  when nothing is under way, or when waiting for it took too long.

Left out: everything that acts (`filesync.runtime`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import inf
from types import MappingProxyType

from attrs import evolve

from filesync import _committer, _reading
from filesync import _effects as fx
from filesync._actions import Actions
from filesync._alarms import Alarm, Alarms
from filesync._assembler import Dropped
from filesync._committer import Committer, Settled
from filesync._intake import Intake
from filesync._keeper import Keeper
from filesync._ledger import Ledger
from filesync._model import CommittedFile, Origin
from filesync._outcomes import (
    CaughtUp,
    CommitParked,
    CommitRetried,
    FaultSeen,
    HealthChanged,
    Outcome,
    RecordRefused,
)
from filesync._plan import Plan, PlanResult
from filesync._progress import Progress
from filesync._reading import Reading, in_order
from filesync._settings import Settings, Start
from filesync._shutdown import Shutdown, Step
from filesync._stats import Stats
from filesync._stuck import RETRY_AFTER, StuckChunks
from filesync._transfer import Whole
from filesync.daemon import ActionResult
from filesync.transport import Health, Matcher, Unreadable

__all__ = ["Engine"]

#: Seconds between two looks at which transfers have waited too long.
_EXPIRE_EVERY = 10.0


class Engine:
    """
    Decides everything; does nothing.

    Args:
        settings: What the operator wants; ``settings.enabled`` is not looked at.
        finish_when_caught_up: End by itself once everything that was in the
            log at start is on disk and no action is waiting.
    """

    def __init__(self, settings: Settings, *, finish_when_caught_up: bool = False) -> None:
        self._settings = settings
        self._finish_when_caught_up = finish_when_caught_up
        self._intake = Intake(settings)
        self._committer = Committer(holding=True)
        self._keeper = Keeper()
        self._reading = Reading(
            self._keeper,
            self._intake.assembler,
            self._committer,
            settings.kafka.start is Start.LATEST,
        )
        self._actions = Actions(settings.schedule, lambda: self._keeper.ledger)
        self._alarms = Alarms()
        self._progress = Progress(self._keeper, self._reading.positions, self._alarms)
        self._counters: Counter[str] = Counter()
        self._health: Health | None = None
        self._out: list[fx.Effect] = []

        self._opened_at = 0.0
        self._wakes_at = inf
        self._polling = True
        self._stuck = StuckChunks()
        self._shutdown = Shutdown()

    @property
    def wanted(self) -> Matcher:
        """What to hand to `Transport.poll`."""
        return self._intake.wanted

    def stats(self) -> Stats:
        """Return a snapshot of what the engine knows."""
        ledger, assembler = self._keeper.ledger, self._intake.assembler
        return Stats(
            caught_up=not self._reading.catching_up,
            counters=MappingProxyType(dict(self._counters)),
            open_transfers=assembler.open_transfers,
            spooled_bytes=assembler.spooled_bytes,
            unfinished_commits=self._committer.unfinished,
            held_commits=self._committer.held,
            parked_commits=self._committer.parked,
            files=MappingProxyType(dict(ledger.files)),
            positions=MappingProxyType(dict(self._reading.positions.reading())),
            safe_positions=MappingProxyType(self._reading.positions.safe()),
            unserved=tuple(file.name for file in ledger.needs),
            schedule=self._actions.state,
            health=self._health,
        )

    def handle(self, event: fx.Event) -> list[fx.Effect]:
        """Take *event*; return what to do about it, in order."""
        self._out = []
        if self._shutdown.ended:
            return self._out
        match event:
            case fx.Opened(at, ledger):
                self._open(at, ledger)
            case fx.BatchPolled():
                self._batch(event)
            case fx.Woke(at):
                self._woke(at)
            case fx.HealthSeen(_, health):
                self._health = health
                self._report(HealthChanged(up=health.up, detail=health.cause))
            case fx.AppendFailed(at, effect, error, passing):
                self._append_failed(at, effect, error, passing=passing)
            case fx.PlanEnded(at, plan, result):
                self._plan_ended(at, plan, result)
            case fx.ActionFinished(at, _, result):
                self._action_finished(at, result)
            case fx.JournalSaved(at, save, error):
                self._report(self._keeper.saved(save, error))
                if error is None:
                    self._emit(self._keeper.flush())
                self._progress.unsaved(at)
            case fx.OffsetsCommitted(at, _, error):
                self._report(self._progress.told(at, error))
            case fx.StopAsked(at):  # pragma: no branch - nothing else is left.
                self._stop(at)
        self._settle(event.at)
        return self._out

    def _report(self, outcome: Outcome | None) -> None:
        if outcome is not None:
            self._counters[outcome.label] += 1
            self._out.append(fx.Report(outcome))

    def _emit(self, effect: fx.Effect | None) -> None:
        if effect is not None:
            self._out.append(effect)

    # Start and alarms

    def _open(self, at: float, ledger: Ledger) -> None:
        self._opened_at = at
        self._keeper.open(ledger)
        self._committer.know(ledger.files)
        self._want_actions(at)

    def _woke(self, at: float) -> None:
        self._wakes_at = inf
        for alarm in self._alarms.take(at):
            match alarm:
                case Alarm.SCHEDULER:
                    self._out += self._actions.wake(at)
                case Alarm.RETRY_CHUNKS:
                    self._retry_chunks(at)
                case Alarm.SAVE_POSITIONS:
                    self._emit(self._progress.save())
                case Alarm.TELL_OFFSETS:
                    self._emit(self._progress.tell(at))
                case Alarm.EXPIRE:
                    expired = self._intake.assembler.expire(
                        at, caught_up=not self._reading.catching_up
                    )
                    self._follow(expired)
                case Alarm.STOP:
                    self._shutdown.lose_patience()
                case Alarm.RETRY_COMMIT:  # pragma: no branch - nothing else is left.
                    pass  # `_settle` starts whatever may start.

    # Records

    def _batch(self, event: fx.BatchPolled) -> None:
        at, polled = event.at, event.polled
        self._stuck.read_on()
        for record in in_order(polled):
            if isinstance(record, Unreadable):
                self._follow(self._reading.heed(record))
                continue
            steps = self._intake.take(record, at)
            for step in steps:
                if isinstance(step, fx.AppendChunk):
                    self._reading.positions.pin(step.transfer, record.source, record.offset)
            self._follow(steps)
        self._intake.note(polled.records, event.wall)
        self._reading.positions.advance(polled.positions)
        self._reading.catchup.advance(polled.positions)
        self._counters["records"] += len(polled.records)
        self._counters["passed_over"] += polled.passed_over
        for fault in polled.faults:
            if not isinstance(fault, Unreadable):
                self._follow(self._reading.heed(fault))
        if polled.positions or polled.faults:
            self._progress.moved(at)

    def _follow(self, steps: Iterable[_reading.Step | _committer.Step]) -> None:
        """Turn what reading, the assembler and the committer answered into effects."""
        for step in steps:
            match step:
                case fx.AppendChunk() | fx.SaveJournal() | fx.Assign():
                    self._out.append(step)
                case fx.DropTransfer(transfer=transfer):
                    self._stuck.drop(transfer)
                    self._out.append(step)
                case Whole():
                    self._follow(self._committer.add(step))
                case Dropped(key=key, sources=sources, outcome=outcome):
                    self._reading.positions.release(key, sources)
                    self._report(outcome)
                case Settled(key=key, sources=sources, outcome=outcome, visible=origin):
                    self._reading.positions.release(key, sources)
                    self._report(outcome)
                    if origin is not None:
                        older = self._intake.assembler.supersede(outcome.name, origin)
                        self._follow(older)
                case (
                    RecordRefused() | CommitParked() | CommitRetried() | FaultSeen()
                ):  # pragma: no branch - nothing else is left.
                    self._report(step)

    def _append_failed(
        self, at: float, effect: fx.AppendChunk, error: str, *, passing: bool
    ) -> None:
        if not self._reading.positions.is_pinning(effect.transfer):
            return  # It was dropped in the same breath.
        if not passing:
            # One that is whole already is refused by its plan.
            self._follow(self._intake.assembler.refuse(effect.transfer, error))
            return
        self._report(self._stuck.failed(effect, error))
        self._alarms.set(Alarm.RETRY_CHUNKS, at + RETRY_AFTER)

    def _retry_chunks(self, at: float) -> None:
        self._out += self._stuck.retry()
        if self._stuck.waiting:
            # Failures come before the next alarm: without one all is stored.
            self._alarms.set(Alarm.RETRY_CHUNKS, at)

    # Files and actions

    def _start_plans(self, at: float) -> None:
        while (whole := self._committer.next(at)) is not None:
            ledger = self._keeper.ledger
            plan = Plan(
                id=self._committer.started(whole),
                target=whole.target,
                transfer=whole.key,
                segments=whole.segments,
                claims=whole.claims,
                origin=whole.origin,
                known=ledger.files.get(whole.target.name),
                positions=self._reading.positions.safe(but=whole.key),
                epoch=ledger.epoch,
                owner=self._settings.file_owner,
                group=self._settings.file_group,
                mode=self._settings.file_mode,
            )
            self._out.append(fx.CommitFile(plan))

    def _plan_ended(self, at: float, plan: int, result: PlanResult) -> None:
        steps = self._committer.ended(plan, result, at)
        for step in steps:
            match step:
                case Settled(file=CommittedFile() as committed, visible=origin):
                    # Of a log that is gone the age means nothing.
                    file = evolve(committed, origin=origin)
                    self._keeper.committed(file)
                    if not self._reading.catching_up:
                        self._actions.want(file, at)
                case Settled(visible=Origin() as origin, outcome=outcome):
                    self._emit(self._keeper.confirmed(outcome.name, origin))
                case _:
                    pass
        self._follow(steps)
        self._progress.unsaved(at)

    def _want_actions(self, at: float) -> None:
        for file in self._keeper.ledger.needs:
            self._actions.want(file, at)

    def _action_finished(self, at: float, result: ActionResult) -> None:
        ended, served = self._actions.finished(result, at)
        if served is not None:
            self._emit(self._keeper.served(served))
        self._report(ended)

    # The end of every step, and the end of all

    def _stop(self, at: float) -> None:
        if self._shutdown.ask():
            self._alarms.set(Alarm.STOP, at + self._settings.schedule.stop_timeout)

    def _settle(self, at: float) -> None:
        """Start what may start now, and set the one alarm."""
        if not self._shutdown.asked:
            self._settle_commits(at)
        if self._finish_when_caught_up and self._is_quiet():
            self._stop(at)
        self._settle_polling()
        self._settle_shutdown()
        if not self._shutdown.ended:
            self._settle_alarms(at)

    def _settle_commits(self, at: float) -> None:
        if not self._reading.catching_up:
            self._start_plans(at)
            return
        if not self._reading.catchup.done:
            return
        self._committer.release()
        self._start_plans(at)
        if not self._committer.running:
            self._reading.catching_up = False
            self._report(CaughtUp(files=len(self._keeper.ledger.files)))
            self._want_actions(at)

    def _is_quiet(self) -> bool:
        return (
            not self._reading.catching_up
            and not self._stuck.waiting
            and not self._committer.unfinished
            and self._actions.settled
        )

    def _settle_polling(self) -> None:
        most = self._settings.limits.unfinished_commits
        # What is parked may wait for what is still to be read.
        busy = self._stuck.waiting or self._committer.unfinished - self._committer.parked >= most
        polling = not self._shutdown.asked and not busy
        if polling is not self._polling:
            self._polling = polling
            self._out.append(fx.PollAgain() if polling else fx.StopPolling())

    def _settle_shutdown(self) -> None:
        busy = self._committer.running or self._actions.running or self._keeper.saving
        step = self._shutdown.next(busy=bool(busy))
        if step is Step.SAVE:
            save = self._progress.save()
            if save is not None:
                self._out.append(save)
                return
            step = self._shutdown.next(busy=False)
        if step is Step.FINISH:
            self._out.append(fx.Finish())

    def _settle_alarms(self, at: float) -> None:
        alarms = self._alarms
        if self._intake.assembler.open_transfers:
            alarms.ensure(Alarm.EXPIRE, at + _EXPIRE_EVERY)
        alarms.set(
            Alarm.RETRY_COMMIT, inf if self._shutdown.asked else self._committer.wakes_after(at)
        )
        due = self._actions.wakes_at
        if self._reading.catching_up and self._reading.catchup.begun:
            # More is coming: one action for all of it, but within bounds.
            due = max(due, self._opened_at + self._settings.schedule.max_wait)
        alarms.set(Alarm.SCHEDULER, inf if self._shutdown.asked else due)
        if alarms.at != self._wakes_at:
            self._wakes_at = alarms.at
            self._out.append(fx.WakeAt(self._wakes_at))
