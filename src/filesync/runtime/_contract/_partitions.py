"""Partitions: what is there to read, and what becomes of it."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import TopicPartition
from filesync.runtime._contract._log import Log, down, needs, new_name, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part
from filesync.transport import PartitionLost

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

    def test_an_empty_partition_starts_and_ends_at_0(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """So its reader has caught up at once."""
        reader = self.start(open_transport, new_topic(log))

        reader.until(lambda: reader.found)

        assert (reader.found[0].start, reader.found[0].end) == (0, 0)

    def test_every_reader_is_told_the_same_ids(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Also after the broker was away: a journal that sees others starts all over again."""
        topic = new_topic(log, 2)
        first = self.start(open_transport, topic)
        first.until(lambda: len(first.found) >= 2)
        with down(log):
            pass
        second = self.start(open_transport, topic)
        second.until(lambda: len(second.found) >= 2)

        ids = {(each.topic_id, each.cluster_id) for each in first.found + second.found}

        assert len(ids) == 1

    def test_nothing_is_read_before_it_is_assigned(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A transport has no opinion about where to start."""
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)

        reader.until(lambda: reader.found)
        reader.poll(0.2)

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
        needs(log, "adds_partitions")
        topic = new_topic(log)
        reader = self.read(open_transport, topic)

        log.add_partitions(topic, 2)
        reader.until(lambda: len(reader.found) >= 2)

        assert [each.source.partition for each in reader.found] == [0, 1]

    def test_a_partition_that_is_added_is_read_beside_the_others(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Assigning it leaves them where they are."""
        needs(log, "adds_partitions")
        topic = new_topic(log)
        reader = self.read(open_transport, topic)
        log.add_partitions(topic, 2)
        reader.until(lambda: len(reader.found) >= 2)

        for partition in (0, 1):
            publish(log, topic, 3, partition=partition)
        reader.read_on(3)
        reader.transport.assign({reader.found[1].source: reader.found[1].start})
        reader.read_on(6)

        assert (reader.offsets(0), reader.offsets(1)) == ([0, 1, 2], [0, 1, 2])

    def test_a_topic_that_is_deleted_is_lost(self, log: Log, open_transport: OpenTransport) -> None:
        """It is no longer read, and health says why."""
        topic = new_topic(log)
        reader = self.read(open_transport, topic)

        log.delete_topic(topic)
        reader.until(lambda: reader.told(PartitionLost))

        assert reader.told(PartitionLost) == [PartitionLost(source=TopicPartition(topic, 0))]
        assert not reader.transport.health().up
        assert topic in reader.transport.health().cause

    def test_every_partition_of_a_deleted_topic_is_lost_once(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Read or not; and no poll tells a position of one from then on."""
        topic = new_topic(log, 3)
        for partition in range(3):
            publish(log, topic, 2, partition=partition)
        reader = self.start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 3)
        reader.transport.assign({TopicPartition(topic, 1): 0})
        reader.read_on(2)

        log.delete_topic(topic)
        reader.until(lambda: len(reader.told(PartitionLost)) >= 3)
        reader.positions.clear()
        for _ in range(3):
            reader.poll(0.1)

        lost = [each.source.partition for each in reader.told(PartitionLost)]
        assert sorted(lost) == [0, 1, 2]
        assert not reader.positions

    def test_a_topic_that_comes_back_after_it_was_lost_is_found_anew(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is read when it was assigned anew: what was assigned before is forgotten."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 2)
        reader = self.read(open_transport, topic)
        reader.read_on(2)
        log.delete_topic(topic)
        reader.until(lambda: reader.told(PartitionLost))

        log.create_topic(topic)
        publish(log, topic, 4, first=10)
        reader.until(lambda: len(reader.found) >= 2)
        reader.poll(0.2)
        assert len(reader.records) == 2

        reader.records.clear()
        reader.transport.assign({source: 0})
        reader.read_on(4)
        assert reader.values == [b"10", b"11", b"12", b"13"]
        reader.until(lambda: reader.transport.health().up)
