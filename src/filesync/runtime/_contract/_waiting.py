"""Waiting: what ends a poll, and what does not."""

# ruff: noqa: S101 - these are tests: they assert, and they act.

from __future__ import annotations

import threading
import time

from filesync.runtime._contract._log import Log, down, new_topic, publish
from filesync.runtime._contract._reader import Beside, OpenTransport, Part

__all__ = ["WaitingPart"]


class WaitingPart(Part):
    """What ends a wait."""

    def test_a_poll_returns_when_something_arrives(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It does not wait for more."""
        topic = new_topic(log)
        reader = self.read(open_transport, topic)
        reader.poll(0.1)

        with Beside(lambda: log.publish(topic, b"now")):
            started = time.monotonic()
            reader.poll(self.patience)

        assert reader.values == [b"now"]
        assert time.monotonic() - started < self.patience / 2

    def test_an_empty_poll_keeps_its_timeout(self, log: Log, open_transport: OpenTransport) -> None:
        """It neither returns early nor waits longer."""
        reader = self.read(open_transport, new_topic(log))
        reader.poll(0.2)

        for timeout in (0.0, 0.3):
            started = time.monotonic()
            polled = reader.poll(timeout)
            took = time.monotonic() - started
            assert not any((polled.records, polled.positions, polled.passed_over, polled.faults))
            assert timeout * 0.95 <= took < timeout + 0.3

    def test_a_poll_without_a_timeout_brings_what_is_there(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Again and again: everything goes on although nobody waits for it."""
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.start(open_transport, topic)

        reader.until(lambda: reader.found, timeout=0)
        reader.transport.assign({reader.found[0].source: 0})
        reader.until(lambda: len(reader.records) >= 3, timeout=0)

        assert reader.offsets() == [0, 1, 2]

    def test_a_poll_ends_while_nothing_was_assigned(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Some drivers raise, return at once or never where they have nothing to read."""
        reader = self.start(open_transport, new_topic(log))
        reader.until(lambda: reader.found)

        started = time.monotonic()
        reader.poll(0.3)

        assert 0.28 <= time.monotonic() - started < 0.8

    def test_a_poll_keeps_its_timeout_while_the_broker_is_down(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Neither a storm of empty polls, nor a caller that hangs."""
        reader = self.read(open_transport, new_topic(log))
        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            for _ in range(2):
                started = time.monotonic()
                reader.poll(0.3)
                assert 0.28 <= time.monotonic() - started < 1

    def test_a_wake_ends_a_running_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """Another thread may do that."""
        reader = self.read(open_transport, new_topic(log))
        reader.poll(0.1)

        with Beside(reader.transport.wake):
            started = time.monotonic()
            reader.poll(self.patience)

        assert time.monotonic() - started < 1

    def test_a_wake_ends_the_next_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """And that one only."""
        reader = self.read(open_transport, new_topic(log))
        reader.poll(0.1)

        reader.transport.wake()
        started = time.monotonic()
        reader.poll(self.patience)
        assert time.monotonic() - started < 1

        started = time.monotonic()
        reader.poll(0.25)
        assert time.monotonic() - started >= 0.23

    def test_many_wakes_end_one_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """From many threads at once: they do not add up to as many empty polls."""
        reader = self.read(open_transport, new_topic(log))
        reader.poll(0.1)

        threads = [threading.Thread(target=reader.transport.wake) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        started = time.monotonic()
        reader.poll(self.patience)
        assert time.monotonic() - started < 1

        started = time.monotonic()
        reader.poll(0.25)
        assert time.monotonic() - started >= 0.23

    def test_a_wake_ends_a_poll_while_the_broker_is_down(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Whoever stops the program does not wait for the weather."""
        reader = self.read(open_transport, new_topic(log))
        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            with Beside(reader.transport.wake):
                started = time.monotonic()
                reader.poll(self.patience)
            assert time.monotonic() - started < 1

    def test_a_wake_is_fine_at_any_time(self, log: Log, open_transport: OpenTransport) -> None:
        """Before the start and after the end: a signal does not ask how far we are."""
        topic = new_topic(log)
        publish(log, topic, 1)
        transport = open_transport(topic)
        transport.wake()
        transport.close(2)
        transport.wake()

        reader = self.start(open_transport, topic)
        reader.transport.wake()
        reader.assign_all(1)
        reader.read_on(1)

    def test_a_wake_costs_no_record(self, log: Log, open_transport: OpenTransport) -> None:
        """Whatever it interrupts: what was in hand comes with this poll or the next."""
        topic = new_topic(log, 2)
        reader = self.read(open_transport, topic, 2)

        for number in range(40):
            log.publish(topic, b"%d" % number, partition=number % 2)
            reader.transport.wake()
            reader.poll(0.2, max_records=1)
        reader.read_on(40)

        assert (reader.offsets(0), reader.offsets(1)) == (list(range(20)), list(range(20)))
