"""Topics that were deleted and created again, under the same name, while they were read."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import TopicPartition
from filesync.runtime._contract._log import Log, needs, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part
from filesync.transport import TopicRecreated

__all__ = ["RecreatedPart"]


class RecreatedPart(Part):
    """Another topic under the same name."""

    def test_a_topic_that_was_recreated_is_another_one(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is told, found anew, and can be read from its start."""
        needs(log, "tells_topic_ids")
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.read(open_transport, topic)
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

    def test_a_recreated_topic_with_a_shorter_log_is_read_from_its_start(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The old position is beyond its end, which is not what matters."""
        self._recreate(log, open_transport, 1)

    def test_a_recreated_topic_with_a_log_as_long_is_read_from_its_start(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The old position is its end: only the topic id shows that anything happened."""
        self._recreate(log, open_transport, 3)

    def test_a_recreated_topic_with_a_longer_log_is_read_from_its_start(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The old position is in the middle of it: a driver would read on there."""
        self._recreate(log, open_transport, 8)

    def test_a_recreated_topic_may_have_other_partitions(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Each of the new ones is found, none of the old ones is told with them."""
        needs(log, "tells_topic_ids")
        for before, after in ((1, 3), (3, 1)):
            topic = new_topic(log, before)
            reader = self.read(open_transport, topic, before)
            log.delete_topic(topic)
            log.create_topic(topic, after)

            reader.until(lambda: reader.told(TopicRecreated))  # noqa: B023 - called at once
            seen = len(reader.found)
            reader.until(lambda: len(reader.found) >= before + after)  # noqa: B023 - the same
            reader.poll(0.1)

            assert seen >= before
            anew = [each.source.partition for each in reader.found[before:]]
            assert sorted(anew) == list(range(after))

    def test_a_recreated_topic_is_told_to_who_reads_nothing_of_it(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """What was found and not assigned yet is gone as well."""
        needs(log, "tells_topic_ids")
        topic = new_topic(log)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)

        log.delete_topic(topic)
        log.create_topic(topic)
        reader.until(lambda: len(reader.found) >= 2)

        assert len(reader.told(TopicRecreated)) == 1
        assert reader.found[1].end == 0

    def test_a_topic_may_be_recreated_again_and_again(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Each time it is told once, and is read from its start."""
        needs(log, "tells_topic_ids")
        topic = new_topic(log)
        reader = self.read(open_transport, topic)

        for times in (1, 2, 3):
            log.delete_topic(topic)
            log.create_topic(topic)
            log.publish(topic, b"%d" % times)
            reader.until(lambda: len(reader.found) > times)  # noqa: B023 - called at once
            reader.records.clear()
            reader.transport.assign({TopicPartition(topic, 0): 0})
            reader.read_on(1)
            assert reader.values == [b"%d" % times]

        assert len(reader.told(TopicRecreated)) == 3
        assert len({each.topic_id for each in reader.found}) == 4

    def _recreate(self, log: Log, open_transport: OpenTransport, count: int) -> None:
        """Read 3 records; let there be another topic with *count*, and read those."""
        needs(log, "tells_topic_ids")
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.read(open_transport, topic)
        reader.read_on(3)

        log.delete_topic(topic)
        log.create_topic(topic)
        publish(log, topic, count, first=100)
        reader.until(lambda: len(reader.found) >= 2)
        assert len(reader.told(TopicRecreated)) == 1
        # Until it was noticed, the new log may have been read on in its middle: never the old one.
        assert reader.values[:3] == [b"0", b"1", b"2"]
        assert {b"0", b"1", b"2"}.isdisjoint(reader.values[3:])

        reader.records.clear()
        reader.poll(0.1)
        assert not reader.records, "read before it was assigned"
        reader.transport.assign({reader.found[1].source: reader.found[1].start})
        reader.read_on(count)
        assert reader.values == [b"%d" % number for number in range(100, 100 + count)]
        assert reader.offsets() == list(range(count))
        assert reader.positions == {TopicPartition(topic, 0): count}
