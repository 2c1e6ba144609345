"""Keeper and journal, side by side: a model of both, in any history."""

from __future__ import annotations

from functools import reduce

from attrs import evolve, frozen
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from filesync._effects import SaveJournal
from filesync._keeper import Keeper
from filesync._ledger import Entry, FileCommitted, Ledger, decode, encode, replay
from filesync._model import CommittedFile, Origin, TopicPartition
from support.ledgers import committed, found, replayed
from support.pieces import P0, P1


@frozen
class Commit:
    """A commit under way, and which logs there were when it started."""

    name: str
    origin: Origin
    positions: dict[TopicPartition, int]
    epoch: int
    logs: dict[TopicPartition, int]


class KeeperAndJournal(RuleBasedStateMachine):
    """
    Saves and commits end in any order, saves fail, the program is killed.

    Each time a partition starts anew its offsets are lower than all before,
    so that an offset tells which log it is of, and a stale one would win.
    """

    def __init__(self) -> None:
        super().__init__()
        self.topic_id = 1
        self.logs = dict.fromkeys((P0, P1), 0)
        self.next = {source: self.base(0) for source in self.logs}
        self.journal = b""
        self.durable = Ledger()
        self.files: dict[str, int] = {}
        self.sequence = 0
        self.boot()

    @staticmethod
    def base(number: int) -> int:
        """Return the first offset of the log with that *number*."""
        return 1_000_000 - 1_000 * number

    def append(self, *entries: Entry) -> None:
        """Make *entries* durable."""
        self.journal += b"".join(map(encode, entries))
        self.durable = reduce(replay, entries, self.durable)

    def boot(self) -> None:
        """Start on what is durable, and look at the log."""
        entries, size = decode(self.journal)
        assert size == len(self.journal)
        assert replayed(entries) == self.durable
        self.keeper = Keeper()
        self.keeper.open(self.durable)
        self.lane: list[SaveJournal] = []
        self.ended: list[tuple[int, str | None]] = []
        self.commits: list[Commit] = []
        self.committed: list[tuple[CommittedFile, Commit]] = []
        self.look()
        for source, position in list(self.keeper.ledger.positions.items()):
            if position >= self.base(self.logs[source]) + 1_000:
                self.start(self.keeper.log_cut(source))

    def look(self) -> None:
        """Let the transport tell which log there is."""
        for source in self.logs:
            self.start(self.keeper.log_seen(found(source, f"id-{self.topic_id}")))

    def start(self, save: SaveJournal | None) -> None:
        """Let the journal's lane perform *save* in its turn."""
        if save is not None:
            self.lane.append(save)

    def busy(self) -> set[str]:
        """Return the files with a commit under way: of each there is one at most."""
        ended = {file.name for file, _ in self.committed}
        return ended | {commit.name for commit in self.commits}

    def begin(self, source: TopicPartition) -> None:
        """Let *source* start anew."""
        self.logs[source] += 1
        self.next[source] = self.base(self.logs[source])

    @rule()
    def recreate(self) -> None:
        """The topic is another one."""
        self.topic_id += 1
        for source in self.logs:
            self.begin(source)
        self.look()

    @rule(source=st.sampled_from((P0, P1)))
    def cut(self, source: TopicPartition) -> None:
        """A partition is shorter than it was."""
        self.begin(source)
        self.start(self.keeper.log_cut(source))

    @rule()
    def save_positions(self) -> None:
        """It is time to save how far reading came."""
        self.start(self.keeper.save_positions(self.next))

    @rule()
    def serve(self) -> None:
        """An action covered all that the keeper knows of."""
        self.start(self.keeper.served(self.keeper.ledger.sequence))

    @rule(name=st.sampled_from("ab"), source=st.sampled_from((P0, P1)))
    def plan(self, name: str, source: TopicPartition) -> None:
        """A transfer is whole, and its commit starts."""
        if name in self.busy():
            return
        origin = Origin(source=source, offset=self.next[source])
        self.next[source] += 1
        epoch = self.keeper.ledger.epoch
        self.commits.append(Commit(name, origin, dict(self.next), epoch, dict(self.logs)))

    @precondition(lambda self: self.commits)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """One of the commits under way becomes durable."""
        commit = self.commits.pop(data.draw(st.integers(0, len(self.commits) - 1)))
        self.sequence += 1
        self.files[commit.name] = self.sequence
        file = committed(commit.name, self.sequence, commit.origin)
        entry = FileCommitted(file=file, positions=commit.positions, epoch=commit.epoch)
        self.append(entry)
        self.committed.append((self.durable.files[commit.name], commit))

    @precondition(lambda self: self.committed)
    @rule()
    def note(self) -> None:
        """The keeper learns of a commit; the committer says when its log is gone."""
        file, commit = self.committed.pop(0)
        source = commit.origin.source
        if commit.logs[source] != self.logs[source]:
            file = evolve(file, origin=None)
        self.keeper.committed(file)

    @rule(name=st.sampled_from("ab"), source=st.sampled_from((P0, P1)))
    def confirm(self, name: str, source: TopicPartition) -> None:
        """What is there is sent again."""
        if name in self.keeper.ledger.files and name not in self.busy():
            origin = Origin(source=source, offset=self.next[source])
            self.next[source] += 1
            self.start(self.keeper.confirmed(name, origin))

    @precondition(lambda self: self.lane)
    @rule(error=st.sampled_from([None, "disk full"]))
    def write(self, error: str | None) -> None:
        """The oldest save is performed, or fails."""
        save = self.lane.pop(0)
        if error is None:
            self.append(*save.entries)
        self.ended.append((save.id, error))

    @precondition(lambda self: self.ended)
    @rule()
    def hear(self) -> None:
        """The keeper learns how a save ended."""
        number, error = self.ended.pop(0)
        assert (self.keeper.saved(number, error) is None) == (error is None)

    @rule()
    def crash(self) -> None:
        """The program is killed, and started again."""
        self.boot()

    @rule()
    def come_to_rest(self) -> None:
        """Nothing fails any more: in the end both say the same, but for what commits wrote."""
        for _ in range(3):
            while self.lane:
                self.write(None)
            while self.ended:
                self.hear()
            while self.committed:
                self.note()
            self.start(self.keeper.save_positions(self.next))
        assert not self.lane, "it is saved again and again"
        durable, known = self.durable, self.keeper.ledger
        assert durable.epoch == known.epoch
        assert durable.served == known.served
        assert durable.files == known.files
        assert durable.logs["files"].topic_id == f"id-{self.topic_id}"
        assert durable.positions == known.positions == self.next

    @invariant()
    def no_stale_position_or_origin_counts(self) -> None:
        """State that every offset the keeper knows is of the log as it is now."""
        ledger = self.keeper.ledger
        origins = [file.origin for file in ledger.files.values() if file.origin is not None]
        offsets = [(origin.source, origin.offset) for origin in origins]
        for source, offset in (*ledger.positions.items(), *offsets):
            base = self.base(self.logs[source])
            assert base <= offset < base + 1_000

    @invariant()
    def no_commit_is_lost(self) -> None:
        """State that what became durable stays it."""
        files = self.durable.files.values()
        assert {file.name: file.sequence for file in files} == self.files
        assert self.durable.served <= self.keeper.ledger.served

    def teardown(self) -> None:
        """State that every history comes to a good end."""
        self.come_to_rest()


TestKeeperAndJournal = KeeperAndJournal.TestCase
# Of several bugs the first will do: to shrink each of them takes minutes.
TestKeeperAndJournal.settings = settings(report_multiple_bugs=False)
