"""
What the journal says, as values and as text; `runtime` only moves the bytes.

Theory. The journal is a list of entries, one line each, and a line counts
only when its checksum holds. Reading stops at the first line that does not:
what follows a torn line was never acknowledged. Replaying the entries in
order gives the `Ledger`. `snapshot` gives the shortest list of entries with
the same ledger, for when the journal has grown long.

Positions are claims of the form "all before this offset has an outcome that
is durable". Every claim stays true, so of two claims about one partition the
larger holds. Until a log starts anew (the topic is another one, or was cut):
that begins an *epoch*. What an entry says about positions and origins counts
only in the epoch that it was made for, since a commit may still be under way
when the log changes beneath it.

A need for an action is a commit whose sequence is above *served*. Only a
`Served` entry ends it.

A line is ``<crc32 of the rest, 8 hex digits> <JSON>``.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Factory, evolve

from filesync._model import CommittedFile, Kind, Origin, TopicPartition
from filesync._values import frozen
from filesync.exceptions import JournalError

__all__ = [
    "Entry",
    "EpochBegun",
    "FileCommitted",
    "FileConfirmed",
    "Ledger",
    "LogSeen",
    "PositionsForgotten",
    "PositionsSaved",
    "Served",
    "decode",
    "encode",
    "replay",
    "snapshot",
]

_VERSION = 1

_REMEDY = (
    "run the filesync that wrote it, or remove .filesync/journal "
    "to read the topic from its start again"
)


@frozen(kw_only=True)
class LogSeen:
    """
    Which log the positions belong to.

    Attributes:
        topic: Its name.
        topic_id: Changes when it is created again; None: cannot be told.
        cluster_id: None: cannot be told.
        epoch: The epoch that it belongs to.
    """

    topic: str
    topic_id: str | None
    cluster_id: str | None
    epoch: int

    def is_same_log(self, other: LogSeen) -> bool:
        """Whether nothing shows that *other* is another log of the same name."""
        for mine, theirs in (
            (self.topic_id, other.topic_id),
            (self.cluster_id, other.cluster_id),
        ):
            if mine is not None and theirs is not None:
                return mine == theirs
        return True


@frozen(kw_only=True)
class FileCommitted:
    """A file became visible, and with it the positions of *epoch* are safe."""

    file: CommittedFile
    positions: Mapping[TopicPartition, int]
    epoch: int


@frozen(kw_only=True)
class FileConfirmed:
    """The bytes of commit *sequence* were sent again, from *origin*: the file is that new."""

    name: str
    sequence: int
    origin: Origin
    epoch: int


@frozen(kw_only=True)
class PositionsSaved:
    """These positions of *epoch* are safe."""

    positions: Mapping[TopicPartition, int]
    epoch: int


@frozen(kw_only=True)
class PositionsForgotten:
    """This partition starts anew, and *epoch* with it: what was known of its order is void."""

    source: TopicPartition
    epoch: int


@frozen(kw_only=True)
class EpochBegun:
    """What follows belongs to *epoch*: the first entry of a journal that was rewritten."""

    epoch: int


@frozen(kw_only=True)
class Served:
    """An action that covers every commit up to *sequence* succeeded."""

    sequence: int


Entry = (
    LogSeen
    | FileCommitted
    | FileConfirmed
    | PositionsSaved
    | PositionsForgotten
    | EpochBegun
    | Served
)


@frozen(kw_only=True)
class Ledger:
    """
    What is known to be durable.

    Attributes:
        files: By name, the version that readers see.
        positions: Next offsets to read.
        logs: By topic, which log the positions belong to.
        served: Every commit with a sequence up to this one is served.
        sequence: Of the newest commit.
        epoch: Grows when a log starts anew.
    """

    files: Mapping[str, CommittedFile] = Factory(dict)
    positions: Mapping[TopicPartition, int] = Factory(dict)
    logs: Mapping[str, LogSeen] = Factory(dict)
    served: int = 0
    sequence: int = 0
    epoch: int = 0

    @property
    def needs(self) -> tuple[CommittedFile, ...]:
        """The files that no action has covered yet, oldest commit first."""
        waiting = (file for file in self.files.values() if file.sequence > self.served)
        return tuple(sorted(waiting, key=lambda file: file.sequence))


def replay(ledger: Ledger, entry: Entry) -> Ledger:
    """Return *ledger* with *entry* applied."""
    match entry:
        case LogSeen(topic=topic, epoch=epoch):
            before = ledger.logs.get(topic)
            if before is not None and not before.is_same_log(entry):
                sources = {key for key in _sources(ledger) if key.topic == topic}
                ledger = _forgotten(ledger, sources)
            return evolve(
                ledger, logs={**ledger.logs, topic: entry}, epoch=max(ledger.epoch, epoch)
            )
        case FileCommitted(file=file, positions=positions, epoch=epoch):
            if epoch != ledger.epoch:
                file, positions = evolve(file, origin=None), {}
            return evolve(
                ledger,
                files={**ledger.files, file.name: file},
                positions=_merged(ledger.positions, positions),
                sequence=max(ledger.sequence, file.sequence),
            )
        case FileConfirmed(name=name, sequence=sequence, origin=origin, epoch=epoch):
            known = ledger.files.get(name)
            if epoch != ledger.epoch or known is None or known.sequence != sequence:
                return ledger  # Another version became durable first.
            return evolve(ledger, files={**ledger.files, name: evolve(known, origin=origin)})
        case PositionsSaved(positions=positions, epoch=epoch):
            if epoch != ledger.epoch:
                return ledger
            return evolve(ledger, positions=_merged(ledger.positions, positions))
        case PositionsForgotten(source=source, epoch=epoch):
            return evolve(_forgotten(ledger, {source}), epoch=max(ledger.epoch, epoch))
        case EpochBegun(epoch=epoch):
            return evolve(ledger, epoch=max(ledger.epoch, epoch))
        case Served(sequence=sequence):  # pragma: no branch - nothing else is left.
            return evolve(ledger, served=max(ledger.served, sequence))


def snapshot(ledger: Ledger) -> list[Entry]:
    """Return the shortest list of entries that replays to *ledger*."""
    epoch = ledger.epoch
    entries: list[Entry] = []
    if epoch and not ledger.logs:
        entries.append(EpochBegun(epoch=epoch))
    entries += [evolve(log, epoch=epoch) for log in ledger.logs.values()]
    files = sorted(ledger.files.values(), key=lambda file: file.sequence)
    entries += [FileCommitted(file=file, positions={}, epoch=epoch) for file in files]
    entries.append(PositionsSaved(positions=ledger.positions, epoch=epoch))
    entries.append(Served(sequence=ledger.served))
    return entries


def _merged(
    old: Mapping[TopicPartition, int], new: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    return {**old, **{key: max(offset, old.get(key, 0)) for key, offset in new.items()}}


def _sources(ledger: Ledger) -> set[TopicPartition]:
    origins = (file.origin for file in ledger.files.values())
    return {*ledger.positions, *(origin.source for origin in origins if origin is not None)}


def _forgotten(ledger: Ledger, sources: set[TopicPartition]) -> Ledger:
    files = {
        name: evolve(file, origin=None)
        if file.origin is not None and file.origin.source in sources
        else file
        for name, file in ledger.files.items()
    }
    positions = {key: at for key, at in ledger.positions.items() if key not in sources}
    return evolve(ledger, files=files, positions=positions)


def encode(entry: Entry) -> bytes:
    """Return *entry* as one line."""
    text = json.dumps(_to_json(entry), separators=(",", ":"), ensure_ascii=True).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode(data: bytes) -> tuple[list[Entry], int]:
    """
    Return the entries that *data* holds, and how many of its bytes they take.

    The rest is a torn tail.

    Raises:
        JournalError: A whole line is of a version that this program does not
            know: a newer filesync wrote it.
    """
    entries: list[Entry] = []
    good = 0
    while (end := data.find(b"\n", good)) >= 0:
        checksum, _, text = data[good:end].partition(b" ")
        if checksum != b"%08x" % zlib.crc32(text):
            break
        entries.append(_parse(text))
        good = end + 1
    return entries, good


def _to_json(entry: Entry) -> dict[str, Any]:
    body: dict[str, Any]
    match entry:
        case LogSeen(topic=topic, topic_id=topic_id, cluster_id=cluster_id, epoch=epoch):
            body = {"log": [topic, topic_id, cluster_id], "epoch": epoch}
        case FileCommitted(file=file, positions=positions, epoch=epoch):
            body = {
                "file": _file_to_json(file),
                "positions": _positions_to_json(positions),
                "epoch": epoch,
            }
        case FileConfirmed(name=name, sequence=sequence, origin=origin, epoch=epoch):
            body = {"same": [name, sequence], "origin": _origin_to_json(origin), "epoch": epoch}
        case PositionsSaved(positions=positions, epoch=epoch):
            body = {"positions": _positions_to_json(positions), "epoch": epoch}
        case PositionsForgotten(source=source, epoch=epoch):
            body = {"forget": [source.topic, source.partition], "epoch": epoch}
        case EpochBegun(epoch=epoch):
            body = {"epoch": epoch}
        case Served(sequence=sequence):  # pragma: no branch - nothing else is left.
            body = {"served": sequence}
    return {"v": _VERSION, **body}


def _parse(text: bytes) -> Entry:
    try:
        return _from_json(json.loads(text))
    except (ValueError, TypeError, LookupError) as exc:
        raise JournalError(
            f"the journal has a line that is no entry: {text[:200]!r}; {_REMEDY}"
        ) from exc


def _from_json(body: Any) -> Entry:
    match body:
        case {"v": 1, "log": [topic, topic_id, cluster_id], "epoch": epoch}:
            return LogSeen(topic=topic, topic_id=topic_id, cluster_id=cluster_id, epoch=epoch)
        case {"v": 1, "file": file, "positions": positions, "epoch": epoch}:
            return FileCommitted(
                file=_file_from_json(file), positions=_positions_from_json(positions), epoch=epoch
            )
        case {"v": 1, "same": [name, sequence], "origin": origin, "epoch": epoch}:
            return FileConfirmed(
                name=name, sequence=sequence, origin=_origin_from_json(origin), epoch=epoch
            )
        case {"v": 1, "positions": positions, "epoch": epoch}:
            return PositionsSaved(positions=_positions_from_json(positions), epoch=epoch)
        case {"v": 1, "forget": [topic, partition], "epoch": epoch}:
            return PositionsForgotten(source=TopicPartition(topic, partition), epoch=epoch)
        case {"v": 1, "epoch": epoch, **rest} if not rest:
            return EpochBegun(epoch=epoch)
        case {"v": 1, "served": sequence}:
            return Served(sequence=sequence)
        case _:
            raise JournalError(
                f"the journal has an entry that this version does not know: {body}; {_REMEDY}"
            )


def _positions_to_json(positions: Mapping[TopicPartition, int]) -> list[list[Any]]:
    return [[key.topic, key.partition, offset] for key, offset in sorted(positions.items())]


def _positions_from_json(rows: Iterable[Any]) -> dict[TopicPartition, int]:
    return {TopicPartition(topic, partition): offset for topic, partition, offset in rows}


def _file_to_json(file: CommittedFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "kind": file.kind.value,
        "sha256": file.digest.hex(),
        "size": file.size,
        "sequence": file.sequence,
        "origin": None if file.origin is None else _origin_to_json(file.origin),
    }


def _file_from_json(body: Any) -> CommittedFile:
    origin = body["origin"]
    return CommittedFile(
        name=body["name"],
        kind=Kind(body["kind"]),
        digest=bytes.fromhex(body["sha256"]),
        size=body["size"],
        sequence=body["sequence"],
        origin=None if origin is None else _origin_from_json(origin),
    )


def _origin_to_json(origin: Origin) -> list[Any]:
    source = origin.source
    return [source.topic, source.partition, origin.offset, origin.timestamp, origin.generation]


def _origin_from_json(row: Any) -> Origin:
    topic, partition, offset, timestamp, generation = row
    return Origin(
        source=TopicPartition(topic, partition),
        offset=offset,
        timestamp=timestamp,
        generation=generation,
    )
