"""
Whole transfers wait here for their turn to become visible.

Theory. Of each file at most one commit is under way, and at most one newer
version waits behind it; a version that is older than one that is visible,
under way or waiting is superseded, and one whose age cannot be told is
refused as ambiguous. Data files are committed as they come. A configuration
waits until every data file that was whole before it has ended, or a newer
version in its place, because it may refer to them. While the log is still
being caught up with, nothing starts: of each file only the newest version is
kept, and then data goes first.

What could not be carried through is tried again, after a growing time; a
newer version takes its place. A configuration that names files which are not
there is parked: partitions and retries do not keep an order, so that they may
still come. It is checked again whenever commits have been quiet for a moment,
and refused when its patience ends.

Source: docs/explanation/delivery.md, "Which version is newer" and "Order".
"""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import chain
from math import inf
from typing import TypeVar

from attrs import evolve

from filesync._effects import DropTransfer
from filesync._model import CommittedFile, Kind, Origin, TopicPartition, TransferKey
from filesync._outcomes import CommitParked, CommitRetried, Ending, TransferEnded
from filesync._plan import Committed, Failed, Missing, PlanResult
from filesync._transfer import Whole
from filesync._values import frozen

__all__ = ["Committer", "Settled"]

#: Plans that are started per lane before one of them has ended.
_DEPTH = 16

_Key = TypeVar("_Key")

_FIRST_RETRY = 1.0
_MAX_RETRY = 60.0

#: Seconds without a commit before a parked configuration is checked again.
_PARKED_QUIET = 0.5
#: Seconds that it is parked at most.
_PARKED_PATIENCE = 60.0


@frozen(kw_only=True)
class Settled:
    """
    A whole transfer ended.

    Attributes:
        key: Names it.
        sources: The partitions that it pinned.
        outcome: How it ended.
        file: The version that became visible, if one did.
        visible: Where the visible version comes from, when it is this
            transfer's and its log is still the same.
    """

    key: TransferKey
    sources: tuple[TopicPartition, ...]
    outcome: TransferEnded
    file: CommittedFile | None = None
    visible: Origin | None = None


@frozen(kw_only=True)
class _Waiting:
    """
    A whole transfer without an outcome.

    Attributes:
        whole: The transfer.
        number: It is the *number*-th that came.
        due: Not before.
        failures: That went before.
        void: Its log is gone: whatever comes is newer.
        visible: Readers see it already, so that it must be recorded.
        until: It is parked until then; inf: it is not.
        seen: Files that had become visible when it was started last.
    """

    whole: Whole
    number: int
    due: float = -inf
    failures: int = 0
    void: bool = False
    visible: bool = False
    until: float = inf
    seen: int = 0

    @property
    def parked(self) -> bool:
        return self.until < inf

    @property
    def kind(self) -> Kind:
        return self.whole.target.kind


class _Places:
    """By data file without an outcome: since when configurations wait for it."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        # Those that have left are taken off when they come to the top.
        self._heap: list[tuple[int, str]] = []

    @property
    def first(self) -> float:
        """The lowest number; inf: nothing is waited for."""
        while self._heap and self._numbers.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def hold(self, name: str, number: int) -> None:
        """Have configurations wait for *name* since *number*, or since it was held before."""
        if name not in self._numbers:
            self._numbers[name] = number
            heappush(self._heap, (number, name))

    def leave(self, name: str) -> None:
        """Nothing waits for *name* any more."""
        self._numbers.pop(name, None)


Step = Settled | DropTransfer | CommitRetried | CommitParked


class Committer:
    """
    The whole transfers that have no outcome yet.

    *holding*: nothing starts until `release`.
    """

    def __init__(self, *, holding: bool) -> None:
        self._holding = holding
        self._places = _Places()
        # By name, in the order of their numbers.
        self._waiting: dict[Kind, dict[str, _Waiting]] = {kind: {} for kind in Kind}
        self._retrying: dict[str, _Waiting] = {}
        self._running: dict[int, _Waiting] = {}
        self._files: dict[str, Origin | None] = {}
        self._number = 0
        self._plan = 0
        self._visible = 0

    @property
    def unfinished(self) -> int:
        """Whole transfers that wait or are under way, but for those held back."""
        waiting = 0 if self._holding else self._queued
        return len(self._running) + len(self._retrying) + waiting

    @property
    def held(self) -> int:
        """Whole transfers that are held back until `release`."""
        return self._queued if self._holding else 0

    @property
    def parked(self) -> int:
        """Of the unfinished, those that wait for files that they name."""
        return sum(item.parked for item in self._retrying.values())

    @property
    def running(self) -> int:
        """Plans that are under way."""
        return len(self._running)

    def wakes_after(self, at: float) -> float:
        """Return when, after *at*, a transfer may be tried again; inf: never."""
        dues = (item.due for item in self._retrying.values())
        return min((due for due in dues if due > at), default=inf)

    @property
    def _queued(self) -> int:
        return sum(map(len, self._waiting.values()))

    def know(self, files: Mapping[str, CommittedFile]) -> None:
        """Take *files* as the versions that are visible, and as old as they say."""
        self._files = {name: file.origin for name, file in files.items()}

    def release(self) -> None:
        """Let what was held back start: data files first."""
        self._holding = False
        for name, item in self._waiting[Kind.CONFIG].items():
            self._number += 1
            self._waiting[Kind.CONFIG][name] = evolve(item, number=self._number)

    def add(self, whole: Whole) -> list[Step]:
        """Take a transfer that just became whole."""
        name, kind = whole.target.name, whole.target.kind
        waiting, retrying = self._waiting[kind].get(name), self._retrying.get(name)
        items = [item for item in self._running.values() if item.whole.target.name == name]
        items += [item for item in (waiting, retrying) if item is not None]
        origins = [item.whole.origin for item in items if not item.void]
        for rival in (self._files.get(name), *origins):
            if rival is None:
                continue
            age = whole.origin.age_against(rival)
            if age == -1:
                return _gone(whole, Ending.SUPERSEDED, f"a newer version, from {rival}, is known")
            if age is None:
                detail = f"it cannot be told whether it is newer than the version from {rival}"
                return _gone(whole, Ending.AMBIGUOUS, f"{detail}; send the file again")
        self._waiting[kind].pop(name, None)
        if retrying is not None and not retrying.visible:
            waiting = self._retrying.pop(name)
        self._number += 1
        self._waiting[kind][name] = _Waiting(whole=whole, number=self._number)
        if kind is Kind.DATA:
            self._places.hold(name, self._number)
        if waiting is None:
            return []
        detail = f"a newer version, from {whole.origin}, is whole"
        return _gone(waiting.whole, Ending.SUPERSEDED, detail)

    def next(self, at: float) -> Whole | None:
        """Return whose turn it is at *at*, if anybody's; ask again after `started`."""
        if self._holding:
            return None
        running = self._running.values()
        busy = {item.whole.target.name for item in running}
        recording = {name for name, item in self._retrying.items() if item.visible}
        for kind in Kind:
            if sum(item.kind is kind for item in running) >= _DEPTH:
                continue
            first_place = self._places.first
            retried = (item for item in self._retrying.values() if item.kind is kind)
            for item in chain(retried, self._waiting[kind].values()):
                # Both are in the order of their numbers.
                if kind is Kind.CONFIG and item.number > first_place:
                    break
                name = item.whole.target.name
                if item.due > at or name in busy or (name in recording and not item.visible):
                    continue
                return item.whole
        return None

    def started(self, whole: Whole) -> int:
        """*whole* is under way; return the id of its plan."""
        name = whole.target.name
        retrying = self._retrying.get(name)
        if retrying is not None and retrying.whole is whole:
            item = self._retrying.pop(name)
        else:
            item = self._waiting[whole.target.kind].pop(name)
        self._plan += 1
        self._running[self._plan] = evolve(item, seen=self._visible)
        return self._plan

    def ended(self, plan: int, result: PlanResult, at: float) -> list[Step]:
        """The plan ended; return what follows."""
        item = self._running.pop(plan)
        if isinstance(result, Failed):
            return self._again(item, result, at)
        if isinstance(result, Missing):
            return self._park(item, result, at)
        whole = item.whole
        name = whole.target.name
        self._places.leave(name)
        newer = self._waiting[Kind.DATA].get(name)
        if newer is not None:
            self._places.hold(name, newer.number)
        origin = None if item.void else whole.origin
        if isinstance(result, Committed):
            self._look_again(at)
            self._files[name] = origin
            ended = _settled(whole, Ending.COMMITTED)
            return [evolve(ended, file=result.file, visible=origin)]
        ended = _settled(whole, result.ending, result.detail)
        if result.ending is Ending.UNCHANGED:
            self._files[name] = origin
            ended = evolve(ended, visible=origin)
        return [ended]

    def forget(self, source: TopicPartition) -> None:
        """*source* starts anew: the age of what was read of it means nothing."""
        for name, origin in self._files.items():
            if origin is not None and origin.source == source:
                self._files[name] = None
        for items in (*self._waiting.values(), self._retrying):
            _void(items, source)
        _void(self._running, source)

    def _again(self, item: _Waiting, result: Failed, at: float) -> list[Step]:
        whole, detail = item.whole, result.detail
        name = whole.target.name
        newer = self._waiting[item.kind].get(name)
        if newer is not None and not result.visible:
            detail = f"{detail}; a newer version, from {newer.whole.origin}, is whole"
            return _gone(whole, Ending.SUPERSEDED, detail)
        delay = min(_MAX_RETRY, _FIRST_RETRY * 2.0 ** min(item.failures, 16))
        self._retrying[name] = evolve(
            item, due=at + delay, failures=item.failures + 1, visible=result.visible
        )
        return [CommitRetried(name=name, origin=whole.origin, detail=detail, retry_in=delay)]

    def _park(self, item: _Waiting, result: Missing, at: float) -> list[Step]:
        whole = item.whole
        name = whole.target.name
        newer = self._waiting[item.kind].get(name)
        if newer is not None:
            detail = f"{result.detail}; a newer version, from {newer.whole.origin}, is whole"
            return _gone(whole, Ending.SUPERSEDED, detail)
        if at >= item.until:
            detail = f"{result.detail}; what it names did not come; the old file stays"
            return _gone(whole, Ending.INVALID, detail)
        until = min(item.until, at + _PARKED_PATIENCE)
        # What became visible while it was checked may be what it lacks.
        due = until if item.seen == self._visible else min(until, at + _PARKED_QUIET)
        self._retrying[name] = evolve(item, due=due, until=until)
        if item.parked:
            return []
        return [
            CommitParked(
                name=name, origin=whole.origin, detail=result.detail, patience=_PARKED_PATIENCE
            )
        ]

    def _look_again(self, at: float) -> None:
        """A file became visible: it may be what a parked configuration lacks."""
        self._visible += 1
        for name, item in self._retrying.items():
            if item.parked:
                due = min(item.until, at + _PARKED_QUIET)
                self._retrying[name] = evolve(item, due=due)


def _void(items: dict[_Key, _Waiting], source: TopicPartition) -> None:
    for key, item in items.items():
        if item.whole.origin.source == source:
            items[key] = evolve(item, void=True)


def _gone(whole: Whole, ending: Ending, detail: str) -> list[Step]:
    return [DropTransfer(whole.key, whole.target.name), _settled(whole, ending, detail)]


def _settled(whole: Whole, ending: Ending, detail: str = "") -> Settled:
    outcome = TransferEnded(
        ending=ending,
        name=whole.target.name,
        origin=whole.origin,
        detail=detail,
        size=sum(segment.size for segment in whole.segments),
    )
    return Settled(key=whole.key, sources=whole.sources, outcome=outcome)
