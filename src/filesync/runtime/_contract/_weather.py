"""Weather: brokers that are away cost time, and nothing else; health tells."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

import time

from filesync._model import TopicPartition
from filesync.runtime._contract._log import Log, down, new_name, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part
from filesync.transport import Health, PartitionFound

__all__ = ["WeatherPart"]


def _check(health: Health) -> None:
    """See that *health* can be told to a person."""
    assert type(health) is Health
    assert health.cause.strip()
    assert "\n" not in health.cause


class WeatherPart(Part):
    """What a broker that is away costs."""

    def test_a_broker_that_is_down_at_start_is_waited_for(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Health says so; nothing is raised; reading starts when it is back."""
        topic = new_topic(log)
        publish(log, topic, 1)
        with down(log):
            reader = self.start(open_transport, topic)
            deadline = time.monotonic() + 0.4
            while time.monotonic() < deadline:
                reader.poll()
            assert not reader.transport.health().up
            assert reader.transport.health().cause
            assert not reader.faults

        reader.assign_all(1)
        reader.read_on(1)
        assert reader.transport.health().up

    def test_a_broker_that_goes_and_comes_costs_no_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """And none is repeated; health follows, and changes only when its cause does."""
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.read(open_transport, topic)
        reader.read_on(2)
        healthy = reader.transport.health()
        reader.poll(0.1)
        assert healthy.up
        assert reader.transport.health() is healthy

        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            error = reader.transport.commit_offsets({TopicPartition(topic, 0): 2}).error
            assert error
            assert "\n" not in error
        publish(log, topic, 2)

        reader.read_on(4)
        reader.until(lambda: reader.transport.health().up)
        assert [record.offset for record in reader.records] == [0, 1, 2, 3]

    def test_many_outages_cost_no_record(self, log: Log, open_transport: OpenTransport) -> None:
        """Noticed or not: nothing is lost, repeated, or found again."""
        topic = new_topic(log, 2)
        reader = self.read(open_transport, topic, 2)

        for number in range(self.outages):
            with down(log):
                if number % 2:
                    reader.until(lambda: not reader.transport.health().up)
                else:
                    reader.poll(0.05)
            for partition in (0, 1):
                publish(log, topic, 2, partition=partition, first=2 * number)
            if number % 2 == 0:
                reader.until(lambda: len(reader.records) >= 4 * number)  # noqa: B023 - at once

        reader.read_on(4 * self.outages)
        for partition in (0, 1):
            assert reader.offsets(partition) == list(range(2 * self.outages))
        assert [type(fault) for fault in reader.faults] == [PartitionFound] * 2
        reader.until(lambda: reader.transport.health().up)

    def test_a_broker_that_is_down_loses_no_partition(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """That it cannot be asked what there is does not mean that there is nothing."""
        topic = new_topic(log, 2)
        publish(log, topic, 1)
        reader = self.read(open_transport, topic, 2)
        reader.read_on(1)
        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            for _ in range(6):
                reader.poll(0.1)
            assert len(reader.faults) == 2
        reader.until(lambda: reader.transport.health().up)
        reader.poll(0.1)

        assert [type(fault) for fault in reader.faults] == [PartitionFound] * 2

    def test_a_partition_that_was_found_can_be_assigned_after_an_outage(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Whoever was told of it may take its time."""
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)
        with down(log):
            reader.until(lambda: not reader.transport.health().up)

        reader.assign_all(1, position=1)
        reader.read_on(2)

        assert reader.offsets() == [1, 2]
        assert len(reader.found) == 1

    def test_a_partition_can_be_assigned_during_an_outage(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It waits for nobody, and holds when the broker is back."""
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)
        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            started = time.monotonic()
            reader.assign_all(1, position=2)
            assert time.monotonic() - started < 1
            reader.poll(0.1)

        reader.read_on(1)
        assert reader.offsets() == [2]

    def test_health_is_up_only_after_the_broker_answered(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Not opened, not started, nobody there: each time it says why in one line."""
        topic = new_topic(log)
        with down(log):
            transport = open_transport(topic)
            _check(transport.health())
            assert not transport.health().up
            reader = self.start(open_transport, topic)
            for _ in range(4):
                _check(reader.transport.health())
                assert not reader.transport.health().up
                reader.poll(0.05)
        reader.until(lambda: reader.transport.health().up)
        _check(reader.transport.health())

        reader.transport.close(2)
        _check(reader.transport.health())
        assert not reader.transport.health().up

    def test_health_names_the_broker_that_is_down(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The line alone must tell where to look."""
        reader = self.read(open_transport, new_topic(log))
        reader.until(lambda: reader.transport.health().up)
        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            _check(reader.transport.health())
            assert getattr(log, "address", "") in reader.transport.health().cause

    def test_health_knows_a_missing_topic_from_a_missing_broker(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """One is created, the other is started: it is not the same person who does that."""
        topic = new_name()
        reader = self.start(open_transport, topic)
        reader.until(lambda: topic in reader.transport.health().cause)
        missing = reader.transport.health()
        _check(missing)
        with down(log):
            reader.until(lambda: reader.transport.health() != missing)
            away = reader.transport.health()
            _check(away)
            assert not away.up
            assert away.cause != missing.cause

        reader.until(lambda: reader.transport.health() == missing)

    def test_health_stays_the_same_object_while_nothing_changes(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Whoever writes it down compares: an outage is one line, however long it takes."""
        topic = new_topic(log)
        reader = self.read(open_transport, topic)
        reader.until(lambda: reader.transport.health().up)
        healthy = reader.transport.health()
        for _ in range(4):
            log.publish(topic, b"")
            reader.poll(0.1)
            assert reader.transport.health() is healthy
        with down(log):
            reader.until(lambda: not reader.transport.health().up)
            seen = [reader.transport.health()]
            for _ in range(10):
                reader.poll(0.05)
                if reader.transport.health() is not seen[-1]:
                    seen.append(reader.transport.health())
            # A better explanation may follow the first one.
            assert len(seen) <= 3, seen
            assert len({each.cause for each in seen}) == len(seen), seen
