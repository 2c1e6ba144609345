"""Other threads and other loops than the receiver's own."""

from __future__ import annotations

import asyncio
import threading

from filesync import Outcome, TransferEnded
from support.memory_host import PATIENCE, MemoryHost
from support.waiting import eventually


def test_stats_can_be_asked_for_at_any_time(host: MemoryHost) -> None:
    """From another thread, while much happens: each answer is consistent in itself."""
    receiver = host.start()
    stop = threading.Event()
    problems: list[object] = []
    asked = 0

    def ask() -> None:
        nonlocal asked
        try:
            while not stop.wait(0.001):
                stats = receiver.stats()
                assert stats.counters.get("committed", 0) >= len(stats.files)
                assert {*stats.unserved} <= {*stats.files}
                for source, safe in stats.safe_positions.items():
                    assert safe <= stats.positions[source]
                asked += 1
        except BaseException as exc:  # noqa: BLE001 - told below.
            problems.append(exc)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for number in range(50):
            host.send(f"{number}.rpz", b"one", b"two")
        for _ in range(50):
            host.wait_for(TransferEnded)
        eventually(lambda: asked > 10 or problems)
    finally:
        stop.set()
        asker.join()
    assert problems == []
    assert receiver.stats().counters["committed"] == 50


def test_it_lives_inside_an_asyncio_program(host: MemoryHost) -> None:
    """The loop goes on while it starts, receives and stops; outcomes reach the loop."""
    gate = threading.Event()
    host.daemon.meanwhile = lambda: gate.wait(PATIENCE)

    async def program() -> list[str]:
        loop = asyncio.get_running_loop()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        receiver = host.receiver(
            tell=lambda outcome: loop.call_soon_threadsafe(outcomes.put_nowait, outcome)
        )
        receiver.start()
        host.send("a.rpz", b"rules")
        await asyncio.to_thread(host.daemon.calls.get, timeout=PATIENCE)
        # The stop waits for the action that is under way, and that for this loop.
        stopping = asyncio.create_task(asyncio.to_thread(receiver.stop))
        await asyncio.sleep(0)
        assert not stopping.done()
        gate.set()
        await stopping
        labels: list[str] = []
        while not labels or labels[-1] != "renew_served":
            labels.append((await asyncio.wait_for(outcomes.get(), PATIENCE)).label)
        return labels

    labels: list[str] = asyncio.run(program())
    assert sorted(labels) == ["caught_up", "committed", "health_changed", "renew_served"]
    assert host.read("a.rpz") == b"rules"
