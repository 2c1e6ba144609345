"""
Chunks in any order become whole transfers.

Theory. State belongs to a *transfer*, never to a file name. A sender that
names its transfers (profile L1) is believed: equal ids, one transfer. Of one
that does not (L0) a transfer is what one partition shows between two first
chunks: (partition, name, count) and a *run*. A repeated first chunk, or a
chunk with other bytes than before, opens a new run, and that chunk is data of
it; the older run is superseded, and none of its chunks can reach the newer.

Every chunk, good or bad, costs the same. Nothing is sized by a number that a
header gives: of chunks a fingerprint is kept in pages of fixed size, and
pages, transfers and bytes are bounded. While full, *new* transfers are
refused; old ones are never evicted to make room.

Chunks that follow each other share a segment. In order, a transfer has one.

Left out: which of two versions is newer (`_committer`), and what of the log
is safe to forget (`_positions`).

Source: docs/explanation/delivery.md; the scenarios S1-S15 in tests/core.
"""

from __future__ import annotations

from collections.abc import Iterable

from filesync._effects import AppendChunk, DropTransfer
from filesync._ended import PAGE, Ended, Identity, fingerprint, identify, is_named
from filesync._model import Chunk, Claims, Origin, Target, TopicPartition, TransferKey
from filesync._outcomes import Ending, RecordRefused, TransferEnded
from filesync._settings import Limits
from filesync._transfer import OpenTransfer, Whole
from filesync._values import frozen
from filesync.exceptions import MalformedRecordError

__all__ = ["Assembler", "Dropped"]


@frozen(kw_only=True)
class Dropped:
    """A transfer will never be whole; *outcome* says why."""

    key: TransferKey
    sources: tuple[TopicPartition, ...]
    outcome: TransferEnded


Step = AppendChunk | DropTransfer | Whole | Dropped | RecordRefused


class Assembler:
    """
    The open transfers, and a bounded memory of those that ended.

    *limits* bounds everything that is kept. Instants are monotonic seconds.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: dict[Identity, OpenTransfer] = {}
        self._names: dict[str, dict[Identity, None]] = {}
        self._ended = Ended(limits.remembered)
        self._newest: dict[TopicPartition, tuple[int, float]] = {}
        #: Partitions that are read from the middle, and the files of which a head was seen.
        self._heads: dict[TopicPartition, set[str]] = {}
        self._tracked = 0
        self._spooled = 0
        self._turn = 0

    @property
    def open_transfers(self) -> int:
        """How many transfers miss chunks."""
        return len(self._open)

    @property
    def spooled_bytes(self) -> int:
        """Bytes that are stored of them."""
        return self._spooled

    def add(self, chunk: Chunk, target: Target, at: float) -> list[Step]:
        """
        Take one chunk; return what follows from it, in order.

        Raises:
            MalformedRecordError: It contradicts the transfer that it names.
        """
        identity = identify(chunk, target)
        opened = self._open.get(identity)
        mark = fingerprint(chunk.data)
        steps: list[Step] = []
        claims = chunk.claims
        if opened is not None:
            if is_named(chunk):
                claims = _agree(opened, chunk)
            seen = opened.pages.get(chunk.index)
            if seen and (is_named(chunk) or (chunk.index and seen == mark)):
                return []
            if is_named(chunk) and len(chunk.data) > self._limits.chunk_bytes:
                # A good one may come: its sender says which transfer it is for.
                too_large = self._no_room_for(chunk) or ""
                return [_refused(chunk, target, Ending.REFUSED_QUOTA, too_large)]
            if opened.headless and chunk.index == 0:
                detail = "its first chunks were gone from the log before they were read"
                steps += self._drop(identity, opened, Ending.HEAD_MISSING, detail)
                opened = None
            elif not is_named(chunk) and (seen or opened.claims != chunk.claims):
                detail = "the sender started again"
                steps += self._drop(identity, opened, Ending.SUPERSEDED, detail)
                opened = None
        else:
            late = self._ended.late(identity, chunk, mark)
            if late is not None:
                return [_refused(chunk, target, late, "it belongs to a transfer that ended")]
        if chunk.index == 0:
            self._head_seen(chunk.origin.source, target.name)
        if opened is None:
            refusal = self._no_room_for(chunk)
            if refusal is not None:
                # Its other chunks must not look like the start of something.
                self._beware_of(self._ended.failed(identity, Ending.REFUSED_QUOTA))
                return [*steps, _refused(chunk, target, Ending.REFUSED_QUOTA, refusal)]
            opened = self._begin(identity, chunk, target, mark, at)
        opened.claims = claims
        return steps + self._take(identity, opened, chunk, mark, at)

    def supersede(self, name: str, origin: Origin) -> list[Step]:
        """A version of *name* from *origin* is visible: end the older open transfers of it."""
        steps: list[Step] = []
        for identity in tuple(self._names.get(name, ())):
            opened = self._open[identity]
            if opened.origin.age_against(origin) == -1:
                detail = f"a newer version, from {origin}, is in place"
                steps += self._drop(identity, opened, Ending.SUPERSEDED, detail)
        return steps

    def refuse(self, key: TransferKey, why: str) -> list[Step]:
        """The open transfer *key*, if it is one, cannot be stored where its file is to be."""
        for identity, opened in self._open.items():
            if opened.key == key:
                return self._drop(identity, opened, Ending.REFUSED_NAME, why)
        return []

    def begin(self, source: TopicPartition, *, boundary: bool) -> None:
        """Reading of *source* begins, at a *boundary* of transfers or in the middle of some."""
        if boundary:
            self._heads.pop(source, None)
        else:
            self._heads[source] = set()

    def note(self, source: TopicPartition, offset: int, timestamp: float) -> None:
        """The log of *source* has come as far as *offset*, at record time *timestamp*."""
        before = self._newest.get(source, (0, 0.0))
        self._newest[source] = max(before[0], offset), max(before[1], timestamp)

    def expire(self, at: float, *, caught_up: bool) -> list[Step]:
        """End the transfers that nothing was heard of for too long."""
        steps: list[Step] = []
        for identity, opened in tuple(self._open.items()):
            why = self._overdue(opened, at, caught_up=caught_up)
            if why is not None:
                some = [str(index + 1) for index in opened.missing(11)]
                more = ", …" if len(some) > 10 else ""
                detail = (
                    f"{why}; {opened.received} of {opened.count} chunks arrived, "
                    f"missing: {', '.join(some[:10])}{more}; send the file again"
                )
                ending = Ending.EXPIRED if opened.pages.get(0) else Ending.HEAD_MISSING
                if opened.repeats and opened.received == 1:
                    ending, detail = Ending.LATE_DUPLICATE, "nothing followed it"
                steps += self._drop(identity, opened, ending, detail)
        return steps

    def forget(self, source: TopicPartition, why: str) -> list[Step]:
        """*source* starts anew: end what was read of it."""
        self._turn += 1
        self._newest.pop(source, None)
        self.begin(source, boundary=False)
        steps: list[Step] = []
        for identity, opened in tuple(self._open.items()):
            if source in opened.sources:
                steps += self._drop(identity, opened, Ending.HEAD_MISSING, why)
                # All of it may be read again.
                self._ended.forget(identity)
        self._ended.forget_source(source)
        return steps

    def _no_room_for(self, chunk: Chunk) -> str | None:
        """Say why no transfer may be opened for *chunk*; None: one may."""
        limits = self._limits
        if len(chunk.data) > limits.chunk_bytes:
            return (
                f"a chunk of {len(chunk.data)} bytes; "
                f"limits.chunk-bytes allows {limits.chunk_bytes}"
            )
        if chunk.count > limits.chunks_per_file:
            return f"{chunk.count} chunks; limits.chunks-per-file allows {limits.chunks_per_file}"
        if (chunk.claims.size or 0) > limits.file_bytes:
            return f"{chunk.claims.size} bytes; limits.file-bytes allows {limits.file_bytes}"
        if chunk.count > 1 and len(self._open) >= limits.open_transfers:
            return f"limits.open-transfers ({limits.open_transfers}) is reached"
        if chunk.count > 1 and not self._has_page():
            return f"limits.tracked-chunks ({limits.tracked_chunks}) is reached"
        return None

    def _begin(
        self, identity: Identity, chunk: Chunk, target: Target, mark: int, at: float
    ) -> OpenTransfer:
        opened = OpenTransfer(
            key=TransferKey(chunk.origin.source.partition, chunk.origin.offset, self._turn),
            target=target,
            count=chunk.count,
            claims=chunk.claims,
            origin=chunk.origin,
            opened_at=at,
            touched_at=at,
            last=chunk.origin,
            sources={},
            headless=self._may_be_headless(chunk, target),
            repeats=self._ended.repeats(identity, chunk, mark),
        )
        self._open[identity] = opened
        self._names.setdefault(target.name, {})[identity] = None
        return opened

    def _take(
        self, identity: Identity, opened: OpenTransfer, chunk: Chunk, mark: int, at: float
    ) -> list[Step]:
        limits = self._limits
        length = len(chunk.data)
        new_page = opened.count > 1 and opened.pages.needs_page(chunk.index)
        refusal = None
        if length > limits.chunk_bytes:
            refusal = f"a chunk of {length} bytes; limits.chunk-bytes allows {limits.chunk_bytes}"
        elif opened.size + length > limits.file_bytes:
            refusal = f"more than limits.file-bytes ({limits.file_bytes})"
        elif self._spooled + length > limits.spool_bytes:
            refusal = f"limits.spool-bytes ({limits.spool_bytes}) is reached"
        elif new_page and not self._has_page():
            refusal = f"limits.tracked-chunks ({limits.tracked_chunks}) is reached"
        if refusal is not None:
            opened.sources[chunk.origin.source] = None
            return self._drop(identity, opened, Ending.REFUSED_QUOTA, refusal)
        if new_page:
            self._tracked += PAGE
        self._spooled += length
        opened.touched_at = at
        steps: list[Step] = [opened.append(chunk, mark)]
        if opened.received == opened.count:
            self._close(identity, opened)
            self._beware_of(self._ended.whole(identity, chunk, opened.pages))
            steps.append(opened.whole())
        return steps

    def _drop(
        self, identity: Identity, opened: OpenTransfer, ending: Ending, detail: str
    ) -> list[Step]:
        self._close(identity, opened)
        self._beware_of(self._ended.failed(identity, ending))
        outcome = TransferEnded(
            ending=ending, name=opened.target.name, origin=opened.origin, detail=detail
        )
        return [
            DropTransfer(opened.key, opened.target.name),
            Dropped(key=opened.key, sources=tuple(opened.sources), outcome=outcome),
        ]

    def _beware_of(self, forgotten: Iterable[Identity]) -> None:
        """Of these a tail may still come, and no memory tells it from a start any more."""
        for source, name, _ in forgotten:
            if not isinstance(source, str):
                self._heads.setdefault(source, set()).discard(name)

    def _close(self, identity: Identity, opened: OpenTransfer) -> None:
        del self._open[identity]
        names = self._names[opened.target.name]
        del names[identity]
        if not names:
            del self._names[opened.target.name]
        self._spooled -= opened.size
        self._tracked -= opened.tracked

    def _may_be_headless(self, chunk: Chunk, target: Target) -> bool:
        """
        Whether *chunk* may be the tail of a transfer of which the head is gone.

        It must not be joined by the head of the next one. Once a head of the
        file was seen, what follows is whole.
        """
        heads = self._heads.get(chunk.origin.source)
        if heads is None or chunk.index == 0 or is_named(chunk):
            return False
        return target.name not in heads

    def _head_seen(self, source: TopicPartition, name: str) -> None:
        heads = self._heads.get(source)
        if heads is not None:
            if len(heads) >= self._limits.remembered:
                heads.clear()
            heads.add(name)

    def _has_page(self) -> bool:
        """Whether one more page may be tracked; what ended makes room."""
        if self._tracked + self._ended.tracked + PAGE <= self._limits.tracked_chunks:
            return True
        forgotten = self._ended.free_page()
        if forgotten is None:
            return False
        self._beware_of([forgotten])
        return True

    def _overdue(self, opened: OpenTransfer, at: float, *, caught_up: bool) -> str | None:
        limits, last = self._limits, opened.last
        offset, timestamp = self._newest.get(last.source, (0, 0.0))
        if offset - last.offset > limits.expire_offsets:
            return f"no chunk in the last {limits.expire_offsets} records of {last.source}"
        if last.timestamp is not None and timestamp - last.timestamp > limits.expire_after:
            return f"no chunk for {limits.expire_after:g} s of record time"
        if caught_up and at - opened.touched_at > limits.expire_idle:
            return f"no chunk for {limits.expire_idle:g} s"
        if at - opened.opened_at > limits.expire_total:
            return f"not whole after {limits.expire_total:g} s"
        return None


def _agree(opened: OpenTransfer, chunk: Chunk) -> Claims:
    """Return what *chunk* and the transfer that it names say together."""
    if opened.count != chunk.count:
        raise MalformedRecordError(
            f"{opened.target.name}: chunk {chunk.index + 1} of {chunk.count}, "
            f"but its transfer has {opened.count} chunks"
        )
    claims = opened.claims.joined(chunk.claims)
    if claims is None:
        raise MalformedRecordError(
            f"{opened.target.name}: chunk {chunk.index + 1} says other things about the file "
            f"than the chunk at {opened.origin}"
        )
    return claims


def _refused(chunk: Chunk, target: Target, ending: Ending, why: str) -> RecordRefused:
    return RecordRefused(
        ending=ending,
        source=chunk.origin.source,
        offset=chunk.origin.offset,
        detail=f"{target.name}, chunk {chunk.index + 1} of {chunk.count}: {why}",
    )
