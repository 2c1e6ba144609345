"""Partitions: what is there to read, and what becomes of it."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import TopicPartition
from filesync.runtime._contract._reader import (
    Log,
    OpenTransport,
    Part,
    new_name,
    new_topic,
    publish,
)
from filesync.transport import PartitionLost, TopicRecreated

__all__ = ["PartitionsPart"]


class PartitionsPart(Part):
    """What is there to read."""

    def test_every_partition_is_found(self, log: Log, open_transport: OpenTransport) -> None:
        """Nobody else is needed for that, and nothing is told twice."""
        topic = new_topic(log, 3)
        reader = self.start(open_transport, topic)

        reader.until(lambda: len(reader.found) >= 3)
        reader.poll(0.1)

        assert sorted(each.source.partition for each in reader.found) == [0, 1, 2]
        assert {each.source.topic for each in reader.found} == {topic}

    def test_a_partition_is_found_with_its_extent(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The start is what can still be read, the end is the next offset to be written."""
        topic = new_topic(log)
        publish(log, topic, 5)
        log.delete_records(TopicPartition(topic, 0), 2)
        reader = self.start(open_transport, topic)

        reader.until(lambda: reader.found)

        assert (reader.found[0].start, reader.found[0].end) == (2, 5)

    def test_nothing_is_read_before_it_is_assigned(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A transport has no opinion about where to start."""
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)

        reader.until(lambda: reader.found)
        reader.poll(0.3)

        assert not reader.records
        assert not reader.positions

    def test_a_topic_that_is_created_later_is_found(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Until then health says so, and the transport does not create it."""
        topic = new_name()
        reader = self.start(open_transport, topic)
        reader.until(lambda: topic in reader.transport.health().cause)
        assert not reader.transport.health().up

        log.create_topic(topic)  # Raises, had the transport created it.
        reader.until(lambda: reader.found)
        reader.until(lambda: reader.transport.health().up)

    def test_a_partition_that_is_added_is_found(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Those that were there are not told again."""
        topic = new_topic(log)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)

        log.add_partitions(topic, 2)
        reader.until(lambda: len(reader.found) >= 2)

        assert [each.source.partition for each in reader.found] == [0, 1]

    def test_a_topic_that_is_deleted_is_lost(self, log: Log, open_transport: OpenTransport) -> None:
        """It is no longer read, and health says why."""
        topic = new_topic(log)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)

        log.delete_topic(topic)
        reader.until(lambda: reader.told(PartitionLost))

        assert reader.told(PartitionLost) == [PartitionLost(source=TopicPartition(topic, 0))]
        assert not reader.transport.health().up

    def test_a_topic_that_was_recreated_is_another_one(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is told, found anew, and can be read from its start."""
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)
        reader.read_on(2)
        before = reader.found[0].topic_id

        log.delete_topic(topic)
        log.create_topic(topic)
        reader.until(lambda: len(reader.found) >= 2)
        after = reader.found[1].topic_id
        assert before != after
        assert reader.told(TopicRecreated) == [TopicRecreated(topic=topic, topic_id=str(after))]

        publish(log, topic, 3)
        reader.records.clear()
        reader.transport.assign({reader.found[1].source: 0})
        reader.read_on(3)
        assert [record.offset for record in reader.records] == [0, 1, 2]
