"""The engine is ahead of the journal, commits are beside both: a model of it, in any history."""

from __future__ import annotations

from attrs import evolve, frozen
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filesync._ledger import (
    Entry,
    FileCommitted,
    FileConfirmed,
    LogSeen,
    PositionsForgotten,
    PositionsSaved,
    Served,
    decode,
    encode,
    replay,
    snapshot,
)
from filesync._model import Origin, TopicPartition
from support.ledgers import LOG, committed, meaning, replayed
from support.pieces import P0, P1


@frozen
class Plan:
    """A commit that is under way: what its entry will be, but for the sequence."""

    name: str
    origin: Origin
    positions: dict[TopicPartition, int]
    epoch: int


class EngineAndJournal(RuleBasedStateMachine):
    """
    The engine's entries are written in order, but late; commits come in between, at any time.

    Each time a partition starts anew its offsets are lower than all before,
    so that an offset tells which log it is of, and a stale one would win.
    """

    def __init__(self) -> None:
        super().__init__()
        self.epoch = 0
        self.topic_id = 1
        self.logs = dict.fromkeys((P0, P1), 0)
        self.written_logs = dict(self.logs)
        self.next = {source: self.base(0) for source in self.logs}
        self.outbox: list[Entry] = []
        self.plans: list[Plan] = []
        self.files: dict[str, int] = {}
        self.served = 0
        self.sequence = 0
        self.journal = encode(LOG)
        self.ledger = replayed([LOG])

    @staticmethod
    def base(log: int) -> int:
        """Return the first offset of the *log*-th log of a partition."""
        return 1_000_000 - 1_000 * log

    def append(self, entry: Entry) -> None:
        """Make *entry* durable."""
        self.journal += encode(entry)
        self.ledger = replay(self.ledger, entry)

    def begin(self, source: TopicPartition) -> None:
        """Let *source* start anew, as the engine sees it."""
        self.logs[source] += 1
        self.next[source] = self.base(self.logs[source])

    @rule()
    def recreate(self) -> None:
        """The topic is another one."""
        self.epoch += 1
        self.topic_id += 1
        for source in self.logs:
            self.begin(source)
        self.outbox.append(evolve(LOG, topic_id=f"id-{self.topic_id}", epoch=self.epoch))

    @rule(source=st.sampled_from((P0, P1)))
    def cut(self, source: TopicPartition) -> None:
        """A partition is shorter than it was."""
        self.epoch += 1
        self.begin(source)
        self.outbox.append(PositionsForgotten(source=source, epoch=self.epoch))

    @rule()
    def save_positions(self) -> None:
        """The engine says how far it came."""
        self.outbox.append(PositionsSaved(positions=dict(self.next), epoch=self.epoch))

    @rule()
    def serve(self) -> None:
        """An action covered all that is committed."""
        self.outbox.append(Served(sequence=self.sequence))

    @rule(name=st.sampled_from("ab"), source=st.sampled_from((P0, P1)))
    def plan(self, name: str, source: TopicPartition) -> None:
        """A transfer is whole, and its commit starts."""
        origin = Origin(source=source, offset=self.next[source])
        self.next[source] += 1
        self.plans.append(Plan(name, origin, dict(self.next), self.epoch))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """One of the commits under way becomes durable."""
        plan = self.plans.pop(data.draw(st.integers(0, len(self.plans) - 1)))
        self.sequence += 1
        self.files[plan.name] = self.sequence
        file = committed(plan.name, self.sequence, plan.origin)
        self.append(FileCommitted(file=file, positions=plan.positions, epoch=plan.epoch))

    @precondition(lambda self: self.files)
    @rule(data=st.data(), source=st.sampled_from((P0, P1)))
    def confirm(self, data: st.DataObject, source: TopicPartition) -> None:
        """What is there is sent again."""
        name = data.draw(st.sampled_from(sorted(self.files)))
        origin = Origin(source=source, offset=self.next[source])
        self.next[source] += 1
        confirmed = FileConfirmed(
            name=name, sequence=self.files[name], origin=origin, epoch=self.epoch
        )
        self.outbox.append(confirmed)

    @precondition(lambda self: self.outbox)
    @rule()
    def write(self) -> None:
        """The oldest of the engine's entries becomes durable."""
        entry = self.outbox.pop(0)
        self.append(entry)
        match entry:
            case LogSeen():
                self.written_logs = {source: log + 1 for source, log in self.written_logs.items()}
            case PositionsForgotten(source=source):
                self.written_logs[source] += 1
            case Served(sequence=sequence):
                self.served = max(self.served, sequence)
            case _:
                pass

    @rule()
    def compact(self) -> None:
        """The journal is rewritten."""
        self.journal = b"".join(map(encode, snapshot(self.ledger)))

    @rule()
    def restart(self) -> None:
        """What is found on disk is what was known."""
        found, size = decode(self.journal)
        assert size == len(self.journal)
        assert meaning(replayed(found)) == meaning(self.ledger)
        self.ledger = replayed(found)

    @invariant()
    def no_stale_position_or_origin_counts(self) -> None:
        """State that every offset is of the log that the journal has come to."""
        origins = [file.origin for file in self.ledger.files.values() if file.origin is not None]
        offsets = [(origin.source, origin.offset) for origin in origins]
        for source, offset in (*self.ledger.positions.items(), *offsets):
            base = self.base(self.written_logs[source])
            assert base <= offset < base + 1_000

    @invariant()
    def every_commit_and_need_is_known(self) -> None:
        """State that no change of a log loses a file or a need."""
        assert {name: file.sequence for name, file in self.ledger.files.items()} == self.files
        needs = sorted(sequence for sequence in self.files.values() if sequence > self.served)
        assert [file.sequence for file in self.ledger.needs] == needs

    @invariant()
    def in_the_end_both_agree(self) -> None:
        """State that a journal that caught up is where the engine is."""
        if not self.outbox:
            assert self.ledger.epoch == self.epoch
            assert self.ledger.logs["files"].topic_id == f"id-{self.topic_id}"
            assert self.written_logs == self.logs

    def teardown(self) -> None:
        """State that every history can be read again."""
        self.restart()


TestEngineAndJournal = EngineAndJournal.TestCase
