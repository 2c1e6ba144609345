"""The assembler and a model of it, in any history."""

from __future__ import annotations

from attrs import define, evolve, field
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from filesync import Limits
from filesync._assembler import Dropped, Step
from filesync._effects import AppendChunk
from filesync._ended import PAGE
from filesync._model import Chunk, Claims, Origin, TopicPartition, TransferKey
from filesync._outcomes import Ending, RecordRefused
from filesync._transfer import Whole
from support.desk import D1, D2, Desk
from support.pieces import P0, P1, chunk, examples, origin


@define
class Sending:
    """One attempt to send a file; without an id its chunks come in order, from one partition."""

    name: str
    source: TopicPartition
    pieces: list[bytes]
    claims: Claims
    #: The one chunk that says the digest; None: each says it, if there is one.
    digest_at: int | None = None
    next: int = 0

    def says(self, index: int) -> Claims:
        """Return the claims of one chunk."""
        if self.digest_at is None or index == self.digest_at % len(self.pieces):
            return self.claims
        return evolve(self.claims, digest=None)

    @property
    def identity(self) -> object:
        """Return what tells its transfer from others, runs apart."""
        if self.claims.transfer_id is not None:
            return self.claims.transfer_id
        return self.source, self.name, len(self.pieces)


@define
class Run:
    """What the model knows of an open transfer."""

    sending: Sending
    opened_at: float
    touched_at: float
    origin: Origin
    last: Origin
    sources: set[TopicPartition]
    repeats: bool
    headless: bool
    chunks: dict[int, bytes] = field(factory=dict)


_NAMES = {"a.rpz": P0, "b.rpz": P1}
_DATA = st.sampled_from([b"x", b"x", b"y", b"", b"long", b"too long"])
_TIGHT = Limits(
    chunks_per_file=4,
    chunk_bytes=4,
    file_bytes=9,
    spool_bytes=8,
    open_transfers=3,
    tracked_chunks=2 * PAGE,
    remembered=3,
    expire_offsets=10,
    expire_after=20.0,
    expire_idle=30.0,
    expire_total=60.0,
)
_ROOMY = Limits(expire_offsets=10, expire_after=20.0, expire_idle=30.0, expire_total=60.0)


class Assembling(RuleBasedStateMachine):
    """
    Several senders, losses, duplicates and logs that start anew, in any order.

    With room for everything, each answer is the one of a model that has a
    dictionary per transfer. A whole file is what one sender sent, except
    where chunks without an id come out of order. In tight limits only named
    transfers are sent, and what must hold is checked, here as everywhere:
    one outcome for each transfer, and what is counted is what is there.
    """

    now = 0.0
    tight = ordered = False
    started = 0
    #: The bytes of the last whole transfer, as the model has them.
    last = b""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(_ROOMY)
        self.offsets = {P0: 0, P1: 0}
        self.newest = {P0: (0, 0.0), P1: (0, 0.0)}
        self.sendings: list[Sending] = []
        self.by_record: dict[tuple[TransferKey | TopicPartition, int], Sending] = {}
        self.runs: dict[object, Run] = {}
        #: How transfers ended; with the chunks of a whole one without an id.
        self.past: dict[object, tuple[Ending, dict[int, bytes] | None]] = {}
        #: Of the partitions that are read from the middle: the files whose head was seen.
        self.heads: dict[TopicPartition, set[str]] = {}

    @initialize(mode=st.sampled_from(["tight", "in order", "in order", "any order"]))
    def choose(self, mode: str) -> None:
        self.tight, self.ordered = mode == "tight", mode == "in order"
        if self.tight:
            self.desk = Desk(_TIGHT)

    # Senders

    @rule(
        name=st.sampled_from(sorted(_NAMES)),
        pieces=st.sampled_from([1, 2, 3, 3, 3, 5]).flatmap(
            lambda count: st.lists(_DATA, min_size=count, max_size=count)
        ),
        named=st.booleans(),
        size=st.sampled_from([False, False, True]),
        digest=st.sampled_from([None, D1, D2]),
        digest_at=st.none() | st.integers(0, 4),
        indexes=st.lists(st.integers(0, 4), max_size=5),
    )
    def begin(
        self,
        *,
        name: str,
        pieces: list[bytes],
        named: bool,
        size: bool,
        digest: bytes | None,
        digest_at: int | None,
        indexes: list[int],
    ) -> None:
        self.started += 1
        identity = f"t{self.started}" if named or self.tight else None
        claims = Claims(
            transfer_id=identity, size=sum(map(len, pieces)) if size else None, digest=digest
        )
        if identity is None:
            self.stop_unnamed(name)
            digest_at = None
        sending = Sending(name, _NAMES[name], pieces, claims, digest_at)
        self.sendings.append(sending)
        self.go_on(sending, indexes, sending.source)

    def stop_unnamed(self, name: str) -> None:
        """One writer per file: what it sent before is abandoned."""
        self.sendings = [
            sending
            for sending in self.sendings
            if sending.claims.transfer_id is not None or sending.name != name
        ]

    @rule(
        which=st.integers(0, 3),
        indexes=st.lists(st.integers(0, 4), min_size=1, max_size=5),
        source=st.sampled_from([P0, P1]),
        seconds=st.sampled_from([0.0, 0.0, 12.0]),
    )
    def send(self, which: int, indexes: list[int], source: TopicPartition, seconds: float) -> None:
        """Let one of the newest senders send chunks: any if it has a name, else the next ones."""
        self.now += seconds
        if not self.sendings:
            return
        self.go_on(self.sendings[-1 - which % len(self.sendings[-4:])], indexes, source)

    def go_on(self, sending: Sending, indexes: list[int], source: TopicPartition) -> None:
        for index in indexes:
            if sending.claims.transfer_id is not None or not self.ordered:
                where = source if sending.claims.transfer_id else sending.source
                self.receive(sending, index % len(sending.pieces), where)
                continue
            place, sending.next = sending.next, sending.next + 1
            # A lost head is another story (S9), and a repeated one begins anew.
            times = {3: 2, 4: 0}.get(index, 1) if place else 1
            for _ in range(times if place < len(sending.pieces) else 0):
                self.receive(sending, place, sending.source)

    def receive(self, sending: Sending, index: int, source: TopicPartition) -> None:
        self.offsets[source] += 1
        offset = self.offsets[source]
        piece = chunk(
            offset,
            index,
            len(sending.pieces),
            sending.pieces[index],
            name=sending.name,
            source=source,
            timestamp=self.now,
            claims=sending.says(index),
        )
        self.by_record[source, offset] = sending
        steps = self.desk.add(piece, self.now)
        self.desk.assembler.note(source, offset, self.now)
        self.newest[source] = offset, self.now
        for step in steps:
            if isinstance(step, Whole):
                self.check_whole(step)
        if not self.tight:
            self.compare(steps, self.model(sending, piece))

    def check_whole(self, done: Whole) -> None:
        sending = self.by_record[done.origin.source, done.origin.offset]
        assert done.claims == sending.claims
        if self.ordered or done.claims.transfer_id is not None:
            assert self.desk.files[-1] == b"".join(sending.pieces), "chunks of two transfers"

    # The model

    def model(self, sending: Sending, piece: Chunk) -> list[object]:
        """Return what is to follow from a chunk, in short."""
        identity, named = sending.identity, sending.claims.transfer_id is not None
        index, answer = piece.index, list[object]()
        run = self.runs.get(identity)
        if run is not None:
            seen = run.chunks.get(index)
            if seen is not None and (named or (index and seen == piece.data)):
                return []
            if run.headless and index == 0:
                answer.append(Ending.HEAD_MISSING)
                del self.runs[identity]
                self.remember(identity, Ending.HEAD_MISSING)
            elif seen is not None or run.sending.claims != sending.claims:
                answer.append(Ending.SUPERSEDED)
                del self.runs[identity]
                self.remember(identity, Ending.SUPERSEDED)
        elif identity in self.past:
            ending, chunks = self.past[identity]
            first = not named and index == 0
            if not first and (chunks is None or chunks.get(index) == piece.data):
                return [("late", ending)]
        where = piece.origin
        heads = self.heads.get(where.source, {piece.name})
        if index == 0:
            heads.add(piece.name)
        if identity not in self.runs:
            _, chunks = self.past.get(identity, (None, None))
            repeats = (chunks or {}).get(index) == piece.data
            headless = not named and piece.name not in heads
            self.runs[identity] = Run(
                sending, self.now, self.now, where, where, set(), repeats, headless
            )
        run = self.runs[identity]
        run.chunks[index] = piece.data
        run.touched_at, run.last = self.now, piece.origin
        run.sources.add(piece.origin.source)
        answer.append("stored")
        if len(run.chunks) == piece.count:
            answer.append("whole")
            self.last = b"".join(run.chunks[place] for place in range(piece.count))
            del self.runs[identity]
            if named:
                self.remember(identity, Ending.LATE_DUPLICATE)
            elif piece.count > 1:
                self.remember(identity, Ending.LATE_DUPLICATE, run.chunks)
        return answer

    def remember(
        self, identity: object, ending: Ending, chunks: dict[int, bytes] | None = None
    ) -> None:
        self.past[identity] = ending, chunks

    def forget_one(self, identity: object) -> None:
        self.past.pop(identity, None)

    def compare(self, steps: list[Step], expected: list[object]) -> None:
        answer: list[object] = []
        for step in steps:
            match step:
                case AppendChunk():
                    answer.append("stored")
                case Whole():
                    answer.append("whole")
                case Dropped(outcome=outcome):
                    answer.append(outcome.ending)
                case RecordRefused(ending=ending):
                    answer.append(("late", ending))
        assert answer == expected
        assert "whole" not in expected or self.desk.files[-1] == self.last

    def lose(self, steps: list[Step], expected: dict[object, Ending]) -> None:
        """Check that just the runs *expected* ended, and how."""
        if self.tight:
            return
        told = {
            (step.outcome.origin, step.outcome.ending, frozenset(step.sources))
            for step in steps
            if isinstance(step, Dropped)
        }
        assert told == {
            (self.runs[identity].origin, ending, frozenset(self.runs[identity].sources))
            for identity, ending in expected.items()
        }
        for identity, ending in expected.items():
            del self.runs[identity]
            self.remember(identity, ending)

    def overdue(self, run: Run, caught_up: bool) -> bool:
        offset, timestamp = self.newest[run.last.source]
        assert run.last.timestamp is not None
        return (
            offset - run.last.offset > 10
            or timestamp - run.last.timestamp > 20
            or (caught_up and self.now - run.touched_at > 30)
            or self.now - run.opened_at > 60
        )

    # What else happens

    @rule(
        what=st.sampled_from(["expire", "idle", "late", "supersede", "forget", "refuse", "end"]),
        name=st.sampled_from(sorted(_NAMES)),
        source=st.sampled_from([P0, P1]),
        number=st.integers(0, 5),
    )
    def interfere(self, what: str, name: str, source: TopicPartition, number: int) -> None:
        match what:
            case "expire" | "idle" | "late":
                seconds = {"expire": 15.0, "idle": 40.0, "late": 0.0}[what]
                self.expire(seconds, caught_up=bool(number % 2))
            case "supersede":
                self.supersede(name, source, number)
            case "forget":
                self.forget(source)
            case "refuse":
                self.refuse(number)
            case _:
                self.all_end()

    def expire(self, seconds: float, caught_up: bool) -> None:
        self.now += seconds
        late_ones = dict[object, Ending]()
        for identity, run in self.runs.items():
            if self.overdue(run, caught_up):
                ending = Ending.EXPIRED if 0 in run.chunks else Ending.HEAD_MISSING
                alone = len(run.chunks) == 1
                late_ones[identity] = Ending.LATE_DUPLICATE if alone and run.repeats else ending
        steps = self.desk.follow(self.desk.assembler.expire(self.now, caught_up=caught_up))
        self.lose(steps, late_ones)

    def supersede(self, name: str, source: TopicPartition, back: int) -> None:
        newer = origin(self.offsets[source] - back, source, timestamp=self.now)
        older = {
            identity: Ending.SUPERSEDED
            for identity, run in self.runs.items()
            if run.sending.name == name and run.origin.age_against(newer) == -1
        }
        self.lose(self.desk.follow(self.desk.assembler.supersede(name, newer)), older)
        if any(not isinstance(identity, str) for identity in older):
            self.stop_unnamed(name)

    def forget(self, source: TopicPartition) -> None:
        gone = {
            identity: Ending.HEAD_MISSING
            for identity, run in self.runs.items()
            if source in run.sources
        }
        self.lose(self.desk.follow(self.desk.assembler.forget(source, "cut")), gone)
        for identity in [*gone, *self.past]:
            if identity in gone or (isinstance(identity, tuple) and identity[0] == source):
                self.forget_one(identity)
        for name, where in _NAMES.items():
            if where == source:
                self.stop_unnamed(name)
        self.offsets[source], self.newest[source] = 0, (0, 0.0)
        self.heads[source] = set()

    def refuse(self, which: int) -> None:
        keys = sorted(self.desk.keys, key=str)
        if keys:
            key = keys[which % len(keys)]
            refused = {
                identity: Ending.REFUSED_NAME
                for identity, run in self.runs.items()
                if (run.origin.source.partition, run.origin.offset) == (key.partition, key.offset)
            }
            self.lose(self.desk.follow(self.desk.assembler.refuse(key, "no place")), refused)

    def all_end(self) -> None:
        """When everything has ended and is forgotten, nothing is left."""
        self.now += 61
        self.expire(0.0, caught_up=True)
        assembler = self.desk.assembler
        assert (assembler.open_transfers, self.desk.keys) == (0, set())
        assert not self.desk.disk.stored
        for source in (P0, P1):
            self.forget(source)
        assert (assembler.spooled_bytes, assembler._tracked, assembler._ended.tracked) == (0, 0, 0)
        assert not assembler._names

    @invariant()
    def what_is_counted_is_there(self) -> None:
        assembler, limits = self.desk.assembler, self.desk.limits
        opened = assembler._open.values()
        assert {transfer.key for transfer in opened} == self.desk.keys
        stored = self.desk.disk.stored.values()
        assert assembler.spooled_bytes == sum(len(x) for parts in stored for x in parts.values())
        assert assembler._tracked == sum(len(transfer.pages) for transfer in opened)
        if self.ordered:
            assert not any(transfer.headless for transfer in opened), "no head was lost"
        past = assembler._ended._past
        assert assembler._ended.tracked == sum(len(ended.pages) for ended in past.values())
        assert assembler._tracked + assembler._ended.tracked <= limits.tracked_chunks
        assert assembler.spooled_bytes <= limits.spool_bytes
        assert assembler.open_transfers <= limits.open_transfers
        assert len(past) <= limits.remembered
        assert set(assembler._ended._paged) == {key for key, ended in past.items() if ended.pages}


TestAssembling = Assembling.TestCase
TestAssembling.settings = examples(200, steps=20)
