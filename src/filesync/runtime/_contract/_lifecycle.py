"""From the start to the end: what may be called when, and what is left."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

import contextlib
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from filesync._model import TopicPartition
from filesync.exceptions import TransportError
from filesync.runtime._contract._log import Log, down, new_topic
from filesync.runtime._contract._reader import OpenTransport, Part, everything

__all__ = ["LifecyclePart"]


def _refused(call: Callable[[], object]) -> bool:
    """Whether *call* raises what a transport raises."""
    try:
        call()
    except TransportError:
        return True
    return False


def _held() -> tuple[int, int]:
    """Return how many threads, a driver's own as well, and descriptors this process has."""
    gc.collect()
    tasks = Path("/proc/self/task")
    threads = len(os.listdir(tasks)) if tasks.exists() else threading.active_count()
    return threads, len(os.listdir("/dev/fd"))


class LifecyclePart(Part):
    """What may be called when, and what is left."""

    def test_a_start_waits_for_no_broker(self, log: Log, open_transport: OpenTransport) -> None:
        """A host that is switched on before its broker is ready all the same."""
        topic = new_topic(log)
        with down(log):
            started = time.monotonic()
            self.start(open_transport, topic)
            assert time.monotonic() - started < 1

    def test_a_transport_is_started_once(self, log: Log, open_transport: OpenTransport) -> None:
        """A second start would leave the first one's connections behind; the first goes on."""
        topic = new_topic(log)
        log.publish(topic, b"0")
        reader = self.read(open_transport, topic)

        assert _refused(reader.transport.start)

        reader.read_on(1)

    def test_a_transport_that_was_closed_is_not_started(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nobody would close it again."""
        topic = new_topic(log)
        unused = open_transport(topic)
        unused.close(2)
        reader = self.start(open_transport, topic)
        reader.transport.close(2)

        assert _refused(unused.start)
        assert _refused(reader.transport.start)

    def test_a_poll_after_the_close_raises(self, log: Log, open_transport: OpenTransport) -> None:
        """So does one before the start: "nothing arrived" would be a lie."""
        topic = new_topic(log)
        unused = open_transport(topic)
        reader = self.start(open_transport, topic)
        reader.transport.close(2)

        for transport in (unused, reader.transport):
            polled = None
            with contextlib.suppress(TransportError):
                polled = transport.poll(0, 1, everything)
            assert polled is None
        assert reader.transport.commit_offsets({TopicPartition(topic, 0): 0}).error
        assert not reader.transport.health().up

    def test_assigning_before_the_start_or_after_the_close_raises(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It would be forgotten, and the caller would wait."""
        topic = new_topic(log)
        unused = open_transport(topic)
        reader = self.read(open_transport, topic)
        reader.transport.close(2)

        for transport in (unused, reader.transport):
            assert _refused(lambda: transport.assign({TopicPartition(topic, 0): 0}))  # noqa: B023

    def test_closing_twice_is_fine(self, log: Log, open_transport: OpenTransport) -> None:
        """Also while the broker is away, and where nothing was ever started."""
        topic = new_topic(log)
        unused = open_transport(topic)
        reader = self.read(open_transport, topic)
        with down(log):
            for transport in (reader.transport, unused):
                started = time.monotonic()
                transport.close(2)
                transport.close(2)
                assert time.monotonic() - started < 3

    def test_closing_amid_a_full_log_is_bounded(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """What was fetched in advance is let go, not delivered first."""
        topic = new_topic(log)
        for _ in range(4):
            log.publish(topic, bytes(500_000))
        reader = self.read(open_transport, topic)
        reader.until(lambda: reader.records, max_records=1)

        started = time.monotonic()
        reader.transport.close(2)

        assert time.monotonic() - started < 3

    def test_nothing_is_left_of_20_transports(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """No thread, a driver's own neither, and no descriptor."""
        topic = new_topic(log)

        def open_and_close(times: int) -> None:
            for _ in range(times):
                reader = self.read(open_transport, topic)
                told = reader.transport.commit_offsets({TopicPartition(topic, 0): 0})
                assert told.error is None
                reader.transport.close(2)

        open_and_close(2)  # What is opened once and kept is no leak.
        watcher = self.read(open_transport, topic)
        before = _held()
        open_and_close(20)

        # Others may open something late; a leak would be of 20.
        watcher.until(
            lambda: all(now < then + 10 for now, then in zip(_held(), before, strict=True))
        )

    def test_waiting_costs_little(self, log: Log, open_transport: OpenTransport) -> None:
        """Of the processor; and nothing is told while nothing happens."""
        reader = self.read(open_transport, new_topic(log))
        reader.poll(0.2)
        told = len(reader.faults)

        spent = time.process_time()
        deadline = time.monotonic() + 0.6
        while time.monotonic() < deadline:
            polled = reader.poll(0.2)
            assert not any((polled.records, polled.positions, polled.faults))

        assert time.process_time() - spent < 0.3
        assert len(reader.faults) == told
