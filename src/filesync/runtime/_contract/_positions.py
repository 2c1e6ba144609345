"""Positions: from where is read, and how far it came."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

import contextlib

from filesync._model import TopicPartition
from filesync.exceptions import TransportError
from filesync.runtime._contract._log import Log, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part

__all__ = ["PositionsPart"]


class PositionsPart(Part):
    """From where is read, and how far it came."""

    def test_a_position_names_the_next_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A partition that is assigned at a record's successor starts right after it."""
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.start(open_transport, topic)

        reader.assign_all(1, position=2)
        reader.read_on(1)

        assert [(record.offset, record.value) for record in reader.records] == [(2, b"2")]
        assert reader.positions == {TopicPartition(topic, 0): 3}

    def test_only_what_is_assigned_is_read(self, log: Log, open_transport: OpenTransport) -> None:
        """The other partition stays where it is until it is assigned too."""
        topic = new_topic(log, 2)
        for partition in (0, 1):
            publish(log, topic, 2, partition=partition)
        reader = self.start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 2)

        reader.transport.assign({TopicPartition(topic, 1): 0})
        reader.read_on(2)
        assert {record.source.partition for record in reader.records} == {1}

        reader.transport.assign({TopicPartition(topic, 0): 1})
        reader.read_on(3)
        assert reader.positions == {TopicPartition(topic, 0): 2, TopicPartition(topic, 1): 2}

        publish(log, topic, 1, partition=1, first=2)  # It is still read.
        reader.read_on(4)

    def test_partitions_are_assigned_together_each_at_its_own_position(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """As a journal has them: one at its start, one amid, one at its end."""
        topic = new_topic(log, 3)
        for partition in range(3):
            publish(log, topic, 4, partition=partition)
        reader = self.start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 3)

        reader.transport.assign(
            {TopicPartition(topic, partition): 2 * partition for partition in range(3)}
        )
        reader.read_on(6)

        assert [reader.offsets(partition) for partition in range(3)] == [[0, 1, 2, 3], [2, 3], []]

    def test_assigning_nothing_changes_nothing(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Before anything is assigned, and afterwards."""
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)
        reader.transport.assign({})
        reader.until(lambda: reader.found)
        reader.transport.assign({})
        reader.poll(0.1)
        assert not reader.records

        reader.assign_all(1)
        reader.read_on(2)
        reader.transport.assign({})
        publish(log, topic, 1, first=2)
        reader.read_on(3)

    def test_assigning_again_goes_back(self, log: Log, open_transport: OpenTransport) -> None:
        """What was fetched in advance is not delivered; other partitions go on."""
        topic = new_topic(log, 2)
        for partition in (0, 1):
            publish(log, topic, 40, partition=partition)
        reader = self.read(open_transport, topic, 2)
        reader.until(lambda: any(record.source.partition == 0 for record in reader.records))

        for back in (3, 0, 35):
            reader.records = [each for each in reader.records if each.source.partition == 1]
            reader.positions.pop(TopicPartition(topic, 0), None)
            reader.transport.assign({TopicPartition(topic, 0): back})
            reader.poll(max_records=10)
            reader.until(lambda: reader.positions.get(TopicPartition(topic, 0)) == 40)
            assert reader.offsets(0) == list(range(back, 40))
        reader.until(lambda: reader.positions.get(TopicPartition(topic, 1)) == 40)
        assert reader.offsets(1) == list(range(40))

    def test_the_last_of_several_assignments_holds(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """No poll was between them: nothing of the earlier ones is read."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 10)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)

        for position in (0, 9, 4, 7):
            reader.transport.assign({source: position})
        reader.read_on(3)

        assert reader.offsets() == [7, 8, 9]

    def test_at_the_end_only_what_is_published_later_arrives(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Exactly that, from its first record on."""
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)

        reader.transport.assign({reader.found[0].source: reader.found[0].end})
        reader.poll(0.2)
        assert not reader.records
        assert len(reader.faults) == 1

        publish(log, topic, 2, first=3)
        reader.read_on(2)
        assert reader.offsets() == [3, 4]

    def test_only_positions_that_moved_are_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Neither being assigned nor waiting moves one."""
        topic = new_topic(log, 2)
        publish(log, topic, 1, partition=1)
        reader = self.read(open_transport, topic, 2)

        reader.read_on(1)
        assert reader.positions == {TopicPartition(topic, 1): 1}

        assert not reader.poll(0.2).positions

    def test_a_position_below_zero_reads_nothing(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Drivers take -1 and -2 for the end and the start: a jump that nobody asked for."""
        topic = new_topic(log)
        publish(log, topic, 2)
        for position in (-1, -2):
            reader = self.start(open_transport, topic)
            reader.until(lambda: reader.found)  # noqa: B023 - called at once

            with contextlib.suppress(TransportError):
                reader.transport.assign({TopicPartition(topic, 0): position})
                reader.poll(0.2)
            assert not reader.records

    def test_two_readers_of_one_topic_see_everything(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """They share nothing, whatever group they are told under."""
        topic = new_topic(log, 2)
        publish(log, topic, 3, partition=0)
        readers = [self.read(open_transport, topic, 2) for _ in range(2)]
        publish(log, topic, 3, partition=1)

        for reader in readers:
            reader.read_on(6)
            assert (reader.offsets(0), reader.offsets(1)) == ([0, 1, 2], [0, 1, 2])

    def test_the_next_process_goes_on_where_the_last_one_was(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """At the position that it was told, not where the driver had read to in advance."""
        topic = new_topic(log)
        publish(log, topic, 20)
        first = self.read(open_transport, topic)
        first.until(lambda: len(first.records) >= 5, max_records=2)
        first.transport.close(2)

        second = self.start(open_transport, topic)
        second.until(lambda: second.found)
        second.transport.assign(first.positions)
        second.until(lambda: len(second.records) + len(first.records) >= 20)

        assert first.offsets() + second.offsets() == list(range(20))
