"""Engine and world, driven by a loop of our own, on a disk that refuses."""

from __future__ import annotations

import errno
import hashlib
import time
from collections.abc import Callable

import pytest

from filesync import CommitRetried, Ending, Engine, Outcome, SpoolRetried, TransferEnded, _engine
from filesync.runtime import World
from filesync.runtime._memory import MemoryTransport
from filesync.transport import Matcher, Polled
from support.disk import Disk, names_in
from support.memory_host import PATIENCE, TOPIC, MemoryHost


def run_world(host: MemoryHost, disk: Disk, seen: Callable[[Outcome], None]) -> Engine:
    """Drive the engine by a loop of our own until it has caught up; return it."""
    engine = Engine(host.settings, finish_when_caught_up=True)
    transport = MemoryTransport(host.broker, TOPIC)
    world = World(
        host.settings, transport, host.daemon, wanted=engine.wanted, tell=seen, posix=disk
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while not world.finished:
            assert time.monotonic() < deadline
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)
    return engine


def test_a_foreign_loop_may_drive_it(host: MemoryHost) -> None:
    """Without a thread of its own for the engine all is the same."""
    host.send("a.rpz", b"one", b"two", order=[1, 0])
    labels: list[str] = []
    engine = run_world(host, Disk(), lambda outcome: labels.append(outcome.label))
    assert sorted(labels) == ["caught_up", "committed", "health_changed", "renew_served"]
    assert engine.stats().unserved == ()
    assert host.read("a.rpz") == b"onetwo"


def test_a_full_disk_is_waited_for(host: MemoryHost) -> None:
    """Chunks that find no room are told once and stored later; no byte is lost."""
    host.send("a.rpz", b"one ", b"two ", b"three")
    disk = Disk()
    disk.refuse_always("write_at 1", errno.ENOSPC)
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if isinstance(outcome, SpoolRetried):
            assert not (host.files / "a.rpz").exists()
            disk.allow()

    run_world(host, disk, tell)
    told = [str(outcome) for outcome in outcomes if isinstance(outcome, SpoolRetried)]
    assert told == [
        "a.rpz: chunks cannot be stored: No space left on device; reading waits, tried again in 1 s"
    ]
    assert host.read("a.rpz") == b"one two three"
    assert names_in(host.files) == ["a.rpz"]


class _Sip(MemoryTransport):
    """Brings ten records at a time."""

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """Take less than there is room for."""
        return super().poll(timeout, min(max_records, 10), wanted)


def test_while_the_disk_is_full_nothing_more_is_read(
    host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What memory holds is one batch, however long it takes until there is room."""
    monkeypatch.setattr(_engine, "RETRY_AFTER", 0.02)
    for number in range(30):
        host.send(f"{number}.rpz", b"one", b"two", order=[0])
    disk = Disk(hasty=True)
    disk.refuse_always("write_at 1", errno.ENOSPC)
    engine = Engine(host.settings)
    world = World(
        host.settings,
        _Sip(host.broker, TOPIC),
        host.daemon,
        wanted=engine.wanted,
        tell=lambda _: None,
        posix=disk,
    )
    try:
        while disk.refused < 50:
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)
    assert engine.stats().counters["records"] == 10


def test_what_became_visible_is_recorded_whatever_comes_next(host: MemoryHost) -> None:
    """Readers see it, so the journal must say so and the daemon be told, though newer came."""
    good, broken = b"workers: 1\n", b"workers: [\n"
    engine, disk = Engine(host.settings), Disk()
    endings: list[Ending] = []

    def tell(outcome: Outcome) -> None:
        if isinstance(outcome, CommitRetried):
            host.send("c.yaml", broken)
        elif isinstance(outcome, TransferEnded):
            endings.append(outcome.ending)

    def fail_behind_the_rename(call: str) -> None:
        if call == "rename c.yaml.tmp c.yaml":
            disk.refuse("sync .", errno.EIO)

    disk.after = fail_behind_the_rename
    host.send("c.yaml", good)
    transport = MemoryTransport(host.broker, TOPIC)
    world = World(
        host.settings, transport, host.daemon, wanted=engine.wanted, tell=tell, posix=disk
    )
    try:
        while Ending.INVALID not in endings:
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)
    assert host.read("c.yaml") == good
    assert host.ledger().files["c.yaml"].digest == hashlib.sha256(good).digest()
