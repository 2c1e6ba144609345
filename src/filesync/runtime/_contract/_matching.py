"""The matcher and the number of records: what is taken from the log, and what of it is built."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import Headers, TopicPartition
from filesync.runtime._contract._log import Log, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part

__all__ = ["MatchingPart"]


class MatchingPart(Part):
    """What is wanted, and how much of it."""

    def test_the_matcher_sees_key_and_headers(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Of every record, in order; headers are never None."""
        topic = new_topic(log)
        log.publish(topic, b"", key=b"key", headers=[("name", b"value")])
        log.publish(topic, b"")
        seen: list[tuple[bytes | None, list[tuple[str, bytes | None]]]] = []

        def look(key: bytes | None, headers: Headers) -> bool:
            seen.append((key, list(headers)))
            return True

        reader = self.read(open_transport, topic)
        reader.read_on(2, wanted=look)

        assert seen == [(b"key", [("name", b"value")]), (None, [])]

    def test_the_matcher_is_asked_once_for_every_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Wanted or not: it may count, and it may be dear."""
        topic = new_topic(log)
        for number in range(50):
            log.publish(topic, b"", key=b"%d" % number)
        asked: list[bytes | None] = []

        def look(key: bytes | None, _headers: Headers) -> bool:
            asked.append(key)
            return len(asked) % 2 == 0

        reader = self.read(open_transport, topic)
        reader.until(lambda: reader.positions.get(TopicPartition(topic, 0)) == 50, wanted=look)
        reader.poll(0.05, wanted=look)

        assert asked == [b"%d" % number for number in range(50)]
        assert reader.offsets() == list(range(1, 50, 2))

    def test_what_is_not_wanted_is_counted(self, log: Log, open_transport: OpenTransport) -> None:
        """And positions move past it, even where nothing was wanted."""
        topic = new_topic(log, 2)
        for number in range(20):
            log.publish(topic, b"", key=b"%d" % (number % 2), partition=0)
        publish(log, topic, 3, partition=1)
        reader = self.read(open_transport, topic, 2)

        reader.until_at(20, 3, wanted=lambda key, _: key == b"1")

        assert [record.offset for record in reader.records] == list(range(1, 20, 2))
        assert reader.passed_over == 13

    def test_where_nothing_is_wanted_positions_move_all_the_same(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A host to which nothing is addressed must not look as if it lagged behind."""
        topic = new_topic(log, 2)
        publish(log, topic, 7, partition=0)
        publish(log, topic, 5, partition=1)
        reader = self.read(open_transport, topic, 2)

        reader.until_at(7, 5, wanted=lambda _key, _headers: False)

        assert not reader.records
        assert reader.passed_over == 12

    def test_what_was_refused_does_not_come_back(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The matcher of the next poll decides about the next records only."""
        topic = new_topic(log)
        publish(log, topic, 4)
        reader = self.read(open_transport, topic)
        reader.until_at(4, wanted=lambda _key, _headers: False)

        publish(log, topic, 2, first=4)
        reader.read_on(2)

        assert reader.values == [b"4", b"5"]
        assert reader.passed_over == 4

    def test_no_more_than_max_records_are_taken(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Of all partitions together; those that are not wanted count too, and none is lost."""
        topic = new_topic(log, 2)
        for partition in (0, 1):
            publish(log, topic, 5, partition=partition)
        reader = self.read(open_transport, topic, 2)

        while len(reader.records) + reader.passed_over < 10:
            polled = reader.poll(self.patience, max_records=3, wanted=lambda key, _: key == b"1")
            assert 1 <= len(polled.records) + polled.passed_over <= 3
        assert reader.passed_over == 10

    def test_one_record_at_a_time_is_fine(self, log: Log, open_transport: OpenTransport) -> None:
        """Each comes with the position right after it."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 5)
        reader = self.read(open_transport, topic)

        for offset in range(5):
            polled = reader.poll(self.patience, max_records=1)
            assert [record.offset for record in polled.records] == [offset]
            assert polled.positions == {source: offset + 1}

    def test_order_is_kept_over_many_polls(self, log: Log, open_transport: OpenTransport) -> None:
        """Whatever a poll leaves behind comes first in the next one."""
        topic = new_topic(log, 3)
        for number in range(90):
            log.publish(topic, b"%d" % number, partition=number % 3)
        reader = self.read(open_transport, topic, 3)

        reader.until(lambda: len(reader.records) >= 90, max_records=7)

        for partition in range(3):
            assert reader.offsets(partition) == list(range(30))
        assert len(set(reader.values)) == 90

    def test_no_position_runs_ahead_of_what_was_brought(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Whoever dies between two polls reads on at the last position, and must miss nothing."""
        topic = new_topic(log, 2)
        for partition in (0, 1):
            publish(log, topic, 20, partition=partition)
        reader = self.read(open_transport, topic, 2)

        while len(reader.records) < 40:
            polled = reader.poll(self.patience, max_records=3)
            assert len(polled.records) <= 3
            for partition in (0, 1):
                position = reader.positions.get(TopicPartition(topic, partition), 0)
                assert reader.offsets(partition) == list(range(position))
