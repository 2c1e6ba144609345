"""Positions: from where is read, and how far it came."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import TopicPartition
from filesync.runtime._contract._reader import Beside, Log, OpenTransport, Part, new_topic, publish
from filesync.transport import OutOfRange

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

    def test_assigning_again_goes_back(self, log: Log, open_transport: OpenTransport) -> None:
        """What was fetched in advance is not delivered; other partitions go on."""
        topic = new_topic(log, 2)
        for partition in (0, 1):
            publish(log, topic, 40, partition=partition)
        reader = self.start(open_transport, topic)
        reader.assign_all(2)
        reader.until(lambda: any(record.source.partition == 0 for record in reader.records))

        for back in (3, 0, 35):
            reader.records = [each for each in reader.records if each.source.partition == 1]
            reader.positions.pop(TopicPartition(topic, 0), None)
            reader.transport.assign({TopicPartition(topic, 0): back})
            reader.poll(max_records=10)
            reader.until(lambda: reader.positions.get(TopicPartition(topic, 0)) == 40)
            offsets = [each.offset for each in reader.records if each.source.partition == 0]
            assert offsets == list(range(back, 40))
        reader.until(lambda: reader.positions.get(TopicPartition(topic, 1)) == 40)
        offsets = [each.offset for each in reader.records if each.source.partition == 1]
        assert offsets == list(range(40))

    def test_a_position_beyond_the_log_is_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The partition can be read after it was assigned again, and others always."""
        topic = new_topic(log, 2)
        stray = TopicPartition(topic, 0)
        for partition in (0, 1):
            publish(log, topic, 2, partition=partition)
        reader = self.start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 2)

        reader.transport.assign({stray: 1000, TopicPartition(topic, 1): 0})
        reader.until(lambda: reader.told(OutOfRange) and len(reader.records) >= 2)
        assert reader.told(OutOfRange) == [OutOfRange(source=stray, position=1000, start=0, end=2)]
        assert stray not in reader.positions

        reader.transport.assign({stray: 1})
        reader.read_on(3)
        assert len(reader.told(OutOfRange)) == 1

    def test_a_position_before_the_log_is_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Records that were removed are not passed over in silence."""
        topic = new_topic(log)
        stray = TopicPartition(topic, 0)
        publish(log, topic, 4)
        log.delete_records(stray, 3)
        reader = self.start(open_transport, topic)

        reader.assign_all(1, position=1)
        reader.until(lambda: reader.told(OutOfRange))
        assert reader.told(OutOfRange) == [OutOfRange(source=stray, position=1, start=3, end=4)]

        reader.transport.assign({stray: 3})
        reader.read_on(1)

    def test_only_positions_that_moved_are_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Neither being assigned nor waiting moves one."""
        topic = new_topic(log, 2)
        publish(log, topic, 1, partition=1)
        reader = self.start(open_transport, topic)

        reader.assign_all(2)
        reader.read_on(1)
        assert reader.positions == {TopicPartition(topic, 1): 1}

        assert not reader.poll(0.3).positions

    def test_offsets_are_told_to_the_broker(self, log: Log, open_transport: OpenTransport) -> None:
        """Forwards and backwards: it is the number that counts."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 3)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)

        for offset in (3, 1):
            assert reader.transport.commit_offsets({source: offset}).error is None
            assert log.told(source) == offset

    def test_offsets_can_be_told_while_a_poll_runs(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Another thread does it; neither waits for the other."""
        topic = new_topic(log)
        reader = self.start(open_transport, topic)
        reader.assign_all(1)
        source = TopicPartition(topic, 0)
        errors: list[str | None] = []

        def tell() -> None:
            errors.append(reader.transport.commit_offsets({source: 0}).error)
            reader.transport.wake()

        with Beside(tell):
            reader.until(lambda: errors)
        assert errors == [None]
