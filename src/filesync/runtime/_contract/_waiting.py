"""Waiting: for records, for brokers, for the end."""

# ruff: noqa: S101 - these are tests: they assert, and they act.

from __future__ import annotations

import contextlib
import time

from filesync._model import TopicPartition
from filesync.exceptions import TransportError
from filesync.runtime._contract._reader import (
    Beside,
    Log,
    OpenTransport,
    Part,
    everything,
    new_topic,
    publish,
)

__all__ = ["WaitingPart"]


class WaitingPart(Part):
    """What ends a wait."""

    def test_no_more_than_max_records_are_taken(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Those that are not wanted count too, and none is lost."""
        topic = new_topic(log)
        publish(log, topic, 10)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)

        while len(reader.records) + reader.passed_over < 10:
            polled = reader.poll(self.patience, max_records=3, wanted=lambda key, _: key == b"1")
            assert 1 <= len(polled.records) + polled.passed_over <= 3
        assert reader.passed_over == 10

    def test_a_poll_returns_when_something_arrives(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It does not wait for more."""
        topic = new_topic(log)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)
        reader.poll(0.1)

        with Beside(lambda: log.publish(topic, b"now")):
            started = time.monotonic()
            reader.poll(self.patience)

        assert reader.values == [b"now"]
        assert time.monotonic() - started < self.patience / 2

    def test_an_empty_poll_keeps_its_timeout(self, log: Log, open_transport: OpenTransport) -> None:
        """It neither returns early nor waits longer."""
        reader = self.start(open_transport, new_topic(log))
        reader.assign_all(1)
        reader.poll(0.2)

        for timeout in (0.0, 0.4):
            started = time.monotonic()
            polled = reader.poll(timeout)
            took = time.monotonic() - started
            assert not any((polled.records, polled.positions, polled.passed_over, polled.faults))
            assert timeout * 0.95 <= took < timeout + 0.3

    def test_a_wake_ends_a_running_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """Another thread may do that."""
        reader = self.start(open_transport, new_topic(log))
        reader.assign_all(1)
        reader.poll(0.2)

        with Beside(reader.transport.wake):
            started = time.monotonic()
            reader.poll(self.patience)

        assert time.monotonic() - started < 1

    def test_a_wake_ends_the_next_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """And that one only."""
        reader = self.start(open_transport, new_topic(log))
        reader.assign_all(1)
        reader.poll(0.2)

        reader.transport.wake()
        started = time.monotonic()
        reader.poll(self.patience)
        assert time.monotonic() - started < 1

        started = time.monotonic()
        reader.poll(0.4)
        assert time.monotonic() - started >= 0.38

    def test_a_broker_that_is_down_at_start_is_waited_for(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Health says so; nothing is raised; reading starts when it is back."""
        topic = new_topic(log)
        publish(log, topic, 1)
        log.stop()
        try:
            reader = self.start(open_transport, topic)
            deadline = time.monotonic() + 0.6
            while time.monotonic() < deadline:
                reader.poll()
            assert not reader.transport.health().up
            assert reader.transport.health().cause
            assert not reader.faults
        finally:
            log.start()

        reader.assign_all(1)
        reader.read_on(1)
        assert reader.transport.health().up

    def test_a_broker_that_goes_and_comes_costs_no_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """And none is repeated; health follows, and changes only when its cause does."""
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)
        reader.read_on(2)
        healthy = reader.transport.health()
        reader.poll(0.1)
        assert healthy.up
        assert reader.transport.health() is healthy

        log.stop()
        try:
            reader.until(lambda: not reader.transport.health().up)
            error = reader.transport.commit_offsets({TopicPartition(topic, 0): 2}).error
            assert error
            assert "\n" not in error
        finally:
            log.start()
        publish(log, topic, 2)

        reader.read_on(4)
        reader.until(lambda: reader.transport.health().up)
        assert [record.offset for record in reader.records] == [0, 1, 2, 3]

    def test_closing_twice_is_fine(self, log: Log, open_transport: OpenTransport) -> None:
        """Also while the broker is away, and where nothing was ever started."""
        topic = new_topic(log)
        unused = open_transport(topic)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)
        log.stop()
        try:
            for transport in (reader.transport, unused):
                started = time.monotonic()
                transport.close(2)
                transport.close(2)
                assert time.monotonic() - started < 3
        finally:
            log.start()

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
