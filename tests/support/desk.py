"""An assembler at work, for the tests of what it keeps, gives up and puts together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attrs import define, field

from filesync import Limits
from filesync._assembler import Assembler, Dropped, Step
from filesync._effects import AppendChunk, DropTransfer
from filesync._model import Chunk, Claims, TopicPartition, TransferKey
from filesync._outcomes import Ending, RecordRefused
from filesync._transfer import Whole
from support.pieces import P0, SpoolDisk, chunk, target

__all__ = ["D1", "D2", "T1", "T2", "Desk", "late", "sent"]

T1, T2 = Claims(transfer_id="t1"), Claims(transfer_id="t2")

#: Two digests; nobody here computes one.
D1, D2 = b"\1" * 32, b"\2" * 32


@define
class Desk:
    """An assembler, the disk that it fills, and what has become of its transfers."""

    limits: Limits = field(factory=Limits)
    assembler: Assembler = field(init=False)
    disk: SpoolDisk = field(factory=SpoolDisk)
    #: The bytes of every whole transfer, and the outcome of every other one, in order.
    files: list[bytes] = field(factory=list)
    endings: list[Ending] = field(factory=list)
    details: list[str] = field(factory=list)
    #: Transfers that have bytes on the disk and no outcome.
    keys: set[TransferKey] = field(factory=set)
    ended: set[TransferKey] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.assembler = Assembler(self.limits)

    def add(self, piece: Chunk, at: float = 0.0) -> list[Step]:
        """Take a chunk, and carry out what follows."""
        return self.follow(self.assembler.add(piece, target(piece.name), at))

    def send(self, *pieces: Chunk) -> list[Step]:
        """Take several; return what followed from the last."""
        return [self.add(piece) for piece in pieces][-1]

    def follow(self, steps: list[Step]) -> list[Step]:
        """Carry out *steps*; every transfer is opened once and ends once."""
        self.disk.carry_out(steps)
        for step in steps:
            match step:
                case AppendChunk(transfer=key):
                    assert key not in self.ended, "a chunk of a transfer that ended"
                    self.keys.add(key)
                case Whole(key=key):
                    self._end(key)
                    self.files.append(self.disk.take(step))
                case Dropped(key=key, outcome=outcome):
                    self._end(key)
                    assert DropTransfer(key, outcome.name) in steps, "its bytes are left behind"
                    self.endings.append(outcome.ending)
                    self.details.append(outcome.detail)
                case RecordRefused():
                    self.details.append(step.detail)
        return steps

    def refuses(self, piece: Chunk, words: str) -> None:
        """Check that there is no room for a chunk, and that nothing changes by it."""
        before = self.assembler.open_transfers, self.assembler.spooled_bytes
        [step] = self.add(piece)
        assert isinstance(step, RecordRefused)
        assert step.ending is Ending.REFUSED_QUOTA
        assert words in step.detail
        assert (self.assembler.open_transfers, self.assembler.spooled_bytes) == before

    def _end(self, key: TransferKey) -> None:
        assert key not in self.ended, "two outcomes"
        self.ended.add(key)
        self.keys.discard(key)


def sent(
    pieces: Sequence[bytes],
    order: Iterable[int] | None = None,
    *,
    first: int = 0,
    claims: Claims | None = None,
    name: str = "a.rpz",
    source: TopicPartition = P0,
) -> list[Chunk]:
    """Return the chunks of a file in the order that they are read in, from offset *first* on."""
    return [
        chunk(
            first + place,
            index,
            len(pieces),
            pieces[index],
            claims=claims,
            name=name,
            source=source,
        )
        for place, index in enumerate(range(len(pieces)) if order is None else order)
    ]


def late(steps: list[Step]) -> Ending | None:
    """Return why a chunk came too late, None if it did not."""
    match steps:
        case [RecordRefused(ending=ending)]:
            return ending
        case _:
            return None
