"""Ranges: positions that are not in the log are told, and nothing jumps in silence."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import TopicPartition
from filesync.runtime._contract._log import Log, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part
from filesync.transport import OutOfRange

__all__ = ["RangesPart"]


class RangesPart(Part):
    """What becomes of a position that is not in the log."""

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

    def test_a_position_just_beyond_the_log_is_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The end is a position, its successor is none: that record would be lost."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)

        reader.assign_all(1, position=3)
        reader.until(lambda: reader.told(OutOfRange))

        assert reader.told(OutOfRange) == [OutOfRange(source=source, position=3, start=0, end=2)]

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

    def test_two_partitions_may_be_out_of_range_at_once(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Each is told with its own numbers."""
        topic = new_topic(log, 2)
        first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
        publish(log, topic, 3, partition=0)
        publish(log, topic, 5, partition=1)
        log.delete_records(second, 4)
        reader = self.start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 2)

        reader.transport.assign({first: 70, second: 2})
        reader.until(lambda: len(reader.told(OutOfRange)) >= 2)

        assert sorted(reader.told(OutOfRange), key=lambda each: each.source) == [
            OutOfRange(source=first, position=70, start=0, end=3),
            OutOfRange(source=second, position=2, start=4, end=5),
        ]
        reader.transport.assign({first: 2, second: 4})
        reader.read_on(2)

    def test_out_of_range_is_told_once(self, log: Log, open_transport: OpenTransport) -> None:
        """Whoever is told decides; until then the partition is neither read nor told again."""
        topic = new_topic(log)
        publish(log, topic, 1)
        reader = self.start(open_transport, topic)
        reader.assign_all(1, position=9)
        reader.until(lambda: reader.told(OutOfRange))

        publish(log, topic, 1, first=1)
        for _ in range(2):
            reader.poll(0.1)

        assert len(reader.told(OutOfRange)) == 1
        assert not reader.records
        assert not reader.positions

    def test_out_of_range_is_told_again_to_who_insists(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Once for each assignment: an answer that does not come would be waited for."""
        topic = new_topic(log)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)

        for position in (7, 7, 8):
            before = len(reader.told(OutOfRange))
            reader.transport.assign({TopicPartition(topic, 0): position})
            reader.until(lambda: len(reader.told(OutOfRange)) > before)  # noqa: B023 - at once

        assert [each.position for each in reader.told(OutOfRange)] == [7, 7, 8]

    def test_what_is_out_of_range_does_not_hold_others_up(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Those go on while nobody has decided."""
        topic = new_topic(log, 2)
        reader = self.start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 2)
        reader.transport.assign({TopicPartition(topic, 0): 5, TopicPartition(topic, 1): 0})
        reader.until(lambda: reader.told(OutOfRange))

        publish(log, topic, 3, partition=1)
        reader.read_on(3)

        assert reader.positions == {TopicPartition(topic, 1): 3}

    def test_a_head_cut_off_below_the_position_is_nobodys_business(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Every broker does that all day: what was read already may go."""
        topic = new_topic(log)
        publish(log, topic, 4)
        reader = self.read(open_transport, topic)
        reader.read_on(4)

        log.delete_records(TopicPartition(topic, 0), 4)
        reader.poll(0.1)
        publish(log, topic, 2, first=4)
        reader.read_on(6)

        assert reader.offsets() == list(range(6))
        assert not reader.told(OutOfRange)

    def test_a_head_cut_off_above_the_position_is_never_passed_in_silence(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """What was fetched in advance may still arrive; what is missing is told."""
        topic = new_topic(log, 2)
        source = TopicPartition(topic, 0)
        for partition in (0, 1):
            publish(log, topic, 6, partition=partition)
        reader = self.read(open_transport, topic, 2)
        reader.until(lambda: reader.offsets(0), max_records=1)

        log.delete_records(source, 4)
        reader.until(
            lambda: reader.told(OutOfRange) or reader.positions.get(source) == 6, max_records=1
        )
        for told in reader.told(OutOfRange):
            assert (told.position, told.start) == (len(reader.offsets(0)), 4)
            reader.transport.assign({source: told.start})
        reader.until_at(6, 6)

        missing = set(range(6)) - set(reader.offsets(0))
        assert bool(missing) == bool(reader.told(OutOfRange))
        assert reader.offsets(0)[-2:] == [4, 5]
        assert reader.offsets(1) == list(range(6))

    def test_a_log_that_was_emptied_is_read_from_its_end(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Its start is its end, and offsets go on from there."""
        topic = new_topic(log)
        publish(log, topic, 3)
        log.delete_records(TopicPartition(topic, 0), 3)
        reader = self.read(open_transport, topic)
        assert (reader.found[0].start, reader.found[0].end) == (3, 3)

        publish(log, topic, 1, first=3)
        reader.read_on(1)

        assert reader.offsets() == [3]
