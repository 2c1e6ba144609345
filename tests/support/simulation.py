"""
A world in memory for the engine: log, disk, journal, daemon and clock.

It performs effects as the real one does, but in the order that a test wants:
what is started stays in `jobs` until `finish` ends it, and `crash` forgets
everything that a process would forget. The disk here loses nothing that was
written: torn writes and lost renames have tests of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from math import inf

from attrs import define, field

from filesync import Engine, Settings
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
from filesync._ledger import Entry, FileCommitted, Ledger, encode
from filesync._model import CommittedFile, Headers, Record, TopicPartition
from filesync._outcomes import Ending, Outcome, TransferEnded
from filesync._plan import (
    Committed,
    Existing,
    Failed,
    Missing,
    NotCommitted,
    Plan,
    PlanResult,
    Replace,
    Seen,
    Shape,
    decide,
)
from filesync.daemon import ActionResult, Served
from filesync.transport import Fault, PartitionFound, Polled, TopicRecreated
from support.pieces import ledger_of

TOPIC = "files"

Job = CommitFile | RunAction | SaveJournal | CommitOffsets


@define
class Simulation:
    """One host, its files-dir, and the log that it reads."""

    settings: Settings
    log: dict[TopicPartition, list[Record]] = field(factory=dict)
    starts: dict[TopicPartition, int] = field(factory=dict)
    topic_id: str = "topic-1"
    journal: list[bytes] = field(factory=list)
    disk: dict[str, bytes] = field(factory=dict)
    served: dict[str, bytes] = field(factory=dict)
    outcomes: list[Outcome] = field(factory=list)
    versions_seen: list[tuple[str, bytes]] = field(factory=list)
    actions: list[RunAction] = field(factory=list)
    now: float = 0.0
    disk_full: bool = False
    finish_when_caught_up: bool = False

    engine: Engine = field(init=False)
    spool: dict[tuple[object, int], bytearray] = field(factory=dict)
    jobs: list[Job] = field(factory=list)
    unrecorded: dict[object, tuple[bytes, int]] = field(factory=dict)
    snapshots: dict[int, dict[str, bytes]] = field(factory=dict)
    reading: dict[TopicPartition, int] = field(factory=dict)
    found: set[TopicPartition] = field(factory=set)
    faults: list[Fault] = field(factory=list)
    alarm: float = inf
    polling: bool = True
    finished: bool = False

    def __attrs_post_init__(self) -> None:
        self.boot()

    # The world's side

    def boot(self) -> None:
        """Start a process on what is on disk."""
        self.engine = Engine(self.settings, finish_when_caught_up=self.finish_when_caught_up)
        self.spool.clear()
        self.jobs.clear()
        self.snapshots.clear()
        self.unrecorded.clear()
        self.reading.clear()
        self.found.clear()
        self.alarm, self.polling, self.finished = inf, True, False
        self.feed(Opened(self.now, self.ledger()))

    crash = boot

    def ledger(self) -> Ledger:
        """Replay the journal."""
        return ledger_of(b"".join(self.journal))

    def partition(self, number: int = 0) -> TopicPartition:
        """Return partition *number*, created if need be."""
        source = TopicPartition(TOPIC, number)
        self.log.setdefault(source, [])
        return source

    def recreate(self) -> None:
        """Let the topic be another one, with empty logs, while it is read; poll that."""
        for log in self.log.values():
            log.clear()
        self.topic_id = "topic-2"
        self.found.clear()
        self.reading.clear()
        self.faults.append(TopicRecreated(topic=TOPIC, topic_id=self.topic_id))
        self.poll()

    def send(
        self,
        headers: Headers,
        value: bytes | None,
        *,
        partition: int = 0,
        timestamp: float | None = 0.0,
    ) -> Record:
        """Append one record to the log."""
        source = self.partition(partition)
        log = self.log[source]
        offset = log[-1].offset + 1 if log else self.starts.get(source, 0)
        record = Record(source, offset, timestamp, None, value, headers)
        log.append(record)
        return record

    def send_file(
        self,
        name: str,
        pieces: Sequence[bytes],
        *,
        order: Sequence[int] | None = None,
        partition: int = 0,
        extra: Headers = (),
        host: bytes = b"ns1",
        timestamp: float | None = 0.0,
    ) -> None:
        """Append a file in chunks, by the four headers and *extra*."""
        for index in range(len(pieces)) if order is None else order:
            headers: list[tuple[str, bytes | None]] = [
                ("hostname", host),
                ("files-name", name.encode()),
            ]
            if len(pieces) > 1:
                headers += [
                    ("total-chunks", str(len(pieces)).encode()),
                    ("chunk-index", str(index + 1).encode()),
                ]
            self.send((*headers, *extra), pieces[index], partition=partition, timestamp=timestamp)

    # Driving

    def feed(self, event: Event) -> None:
        """Hand the engine an event, and carry out what it answers."""
        pending = [event]
        while pending:
            for effect in self.engine.handle(pending.pop(0)):
                failure = self.carry_out(effect)
                if failure is not None:
                    pending.append(failure)

    def poll(self, most: int = 500) -> None:
        """Let the transport deliver at most *most* records."""
        if not self.polling or self.finished:
            return
        faults, self.faults = list(self.faults), []
        for source, log in self.log.items():
            if source not in self.found:
                self.found.add(source)
                start = self.starts.get(source, 0)
                end = log[-1].offset + 1 if log else start
                faults.append(
                    PartitionFound(
                        source=source, start=start, end=end, topic_id=self.topic_id, cluster_id="c"
                    )
                )
        records: list[Record] = []
        positions: dict[TopicPartition, int] = {}
        passed_over = 0
        for source, position in self.reading.items():
            for record in self.log.get(source, []):
                if record.offset >= position and most > 0:
                    most -= 1
                    positions[source] = record.offset + 1
                    if self.engine.wanted(record.key, record.headers):
                        records.append(record)
                    else:
                        passed_over += 1
        self.reading.update(positions)
        polled = Polled(
            records=records, positions=positions, passed_over=passed_over, faults=faults
        )
        self.feed(BatchPolled(self.now, 1e12, polled))

    def advance(self, seconds: float) -> None:
        """Let time pass; alarms go off on the way."""
        until = self.now + seconds
        while self.alarm <= until:
            self.now = max(self.now, self.alarm)
            self.alarm = inf
            self.feed(Woke(self.now))
        self.now = until

    def finish(
        self,
        index: int = 0,
        *,
        fail: str | None = None,
        torn: bool = False,
        result: ActionResult | None = None,
        refuse: Ending | None = None,
    ) -> None:
        """End the *index*-th job that is under way."""
        job = self.jobs.pop(index)
        match job:
            case CommitFile(plan):
                self.feed(PlanEnded(self.now, plan.id, self.perform(plan, fail, refuse, torn=torn)))
            case RunAction():
                answer = Served("simulated") if result is None else result
                if isinstance(answer, Served):
                    self.served = self.snapshots[id(job)]
                self.feed(ActionFinished(self.now, job.id, answer))
            case SaveJournal(number, entries):
                if fail is None:
                    self.write(*entries)
                self.feed(JournalSaved(self.now, number, fail))
            case CommitOffsets(number):
                self.feed(OffsetsCommitted(self.now, number, fail))

    def run(self, seconds: float = 0.0) -> None:
        """Poll and finish everything until nothing is left to do, then let time pass, again."""
        until = self.now + seconds
        while True:
            before: object = None
            while before != (before := self.progress()) or self.jobs:
                self.poll()
                while self.jobs:
                    self.finish()
            if self.alarm > until or self.finished:
                break
            self.advance(max(0.0, self.alarm - self.now))
        self.now = max(self.now, until)

    def progress(self) -> object:
        """Return something that changes whenever anything happened."""
        return len(self.outcomes), len(self.found), tuple(self.reading.values())

    def finish_action(self, result: ActionResult) -> None:
        """End the action that is under way."""
        index = next(i for i, job in enumerate(self.jobs) if isinstance(job, RunAction))
        self.finish(index, result=result)

    def stop(self) -> None:
        """Ask for an orderly end."""
        self.feed(StopAsked(self.now))

    def endings(self, name: str | None = None) -> list[str]:
        """Return how transfers ended, in order."""
        return [
            outcome.ending.value
            for outcome in self.outcomes
            if isinstance(outcome, TransferEnded) and name in (None, outcome.name)
        ]

    # Effects

    def carry_out(self, effect: Effect) -> Event | None:
        """Do what *effect* says; return an event when that fails inline."""
        match effect:
            case AppendChunk(transfer, _, segment, position, data):
                stored = self.spool.setdefault((transfer, segment), bytearray())
                if self.disk_full or len(stored) < position:
                    return AppendFailed(self.now, effect, "no space left on device", passing=True)
                stored[position:] = data
            case Assign(positions):
                self.reading.update(positions)
            case WakeAt(at):
                self.alarm = at
            case StopPolling():
                self.polling = False
            case PollAgain():
                self.polling = True
            case Report(outcome):
                self.outcomes.append(outcome)
            case Finish():
                self.finished = True
            case DropTransfer(transfer):
                self.drop(transfer)
            case RunAction():
                assert not any(isinstance(job, RunAction) for job in self.jobs), "two at once"
                self.actions.append(effect)
                self.snapshots[id(effect)] = dict(self.disk)
                self.jobs.append(effect)
            case CommitFile() | SaveJournal() | CommitOffsets():
                self.jobs.append(effect)
        return None

    def drop(self, transfer: object) -> None:
        for place in [place for place in self.spool if place[0] == transfer]:
            del self.spool[place]

    def tear(self, index: int) -> None:
        """Crash while a plan is under way: after its rename, before its record."""
        job = self.jobs.pop(index)
        assert isinstance(job, CommitFile)
        self.perform(job.plan, torn=True)
        self.crash()

    def perform(
        self,
        plan: Plan,
        fail: str | None = None,
        refuse: Ending | None = None,
        *,
        torn: bool = False,
    ) -> PlanResult:
        if plan.transfer in self.unrecorded:
            if fail is not None:
                return Failed(detail=fail, visible=True)
            return self.record(plan, *self.unrecorded.pop(plan.transfer))
        if fail is not None:
            return Failed(detail=fail)
        if any(
            len(self.spool.get((plan.transfer, segment.first), b"")) != segment.size
            for segment in plan.segments
        ):
            return Failed(detail="chunks are not stored yet")
        data = b"".join(
            bytes(self.spool[plan.transfer, segment.first]) for segment in plan.segments
        )
        if plan.checked and (lacking := self.lacking(data)):
            return Missing(detail=lacking)
        self.drop(plan.transfer)
        if refuse is not None:
            return NotCommitted(ending=refuse, detail="simulated")
        old = self.disk.get(plan.target.name)
        existing = None
        if old is not None:
            existing = Existing(
                shape=Shape.FILE,
                digest=hashlib.sha256(old).digest() if len(old) == len(data) else None,
                mtime=0,
                uid=0,
                gid=0,
                mode=0o640,
            )
        digest = hashlib.sha256(data).digest()
        decided = decide(plan, Seen(digest=digest, existing=existing, now=self.now))
        if isinstance(decided, NotCommitted):
            return decided
        if Replace() in decided:
            self.disk[plan.target.name] = data
            self.versions_seen.append((plan.target.name, data))
        if torn:
            self.unrecorded[plan.transfer] = digest, len(data)
            return Failed(detail="nothing was recorded", visible=True)
        return self.record(plan, digest, len(data))

    def lacking(self, data: bytes) -> str:
        """Return what a configuration says that it ``needs``, unless it is there."""
        words = data.split()
        need = words[1].decode() if words[:1] == [b"needs"] else ""
        return "" if need in self.disk else need

    def record(self, plan: Plan, digest: bytes, size: int) -> PlanResult:
        file = CommittedFile(
            name=plan.target.name,
            kind=plan.target.kind,
            digest=digest,
            size=size,
            sequence=self.ledger().sequence + 1,
            origin=plan.origin,
        )
        self.write(FileCommitted(file=file, positions=plan.positions, epoch=plan.epoch))
        return Committed(file=self.ledger().files[file.name])

    def write(self, *entries: Entry) -> None:
        self.journal += map(encode, entries)
