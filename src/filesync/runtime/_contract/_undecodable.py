"""Records that cannot be decoded: each costs itself, and nothing else."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import Headers, TopicPartition
from filesync.runtime._contract._log import Log, needs, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part, Reader
from filesync.transport import Unreadable

__all__ = ["UndecodablePart"]


def _fill(log: Log, topic: str, pattern: str) -> None:
    """Publish a record for each letter: its offset as value, ``x`` one that nobody can decode."""
    for offset, letter in enumerate(pattern):
        if letter == "x":
            log.publish_undecodable(topic)
        else:
            log.publish(topic, b"%d" % offset, headers=[("name", b"value")])


def _unreadable(reader: Reader) -> list[int]:
    return [each.offset for each in reader.told(Unreadable)]


class UndecodablePart(Part):
    """What a record that cannot be decoded costs."""

    def test_a_record_that_cannot_be_decoded_is_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is passed over: those before and behind it arrive."""
        needs(log, "holds_undecodable")
        reader = self._read_through(log, open_transport, "0x2x4")
        assert reader.values == [b"0", b"2", b"4"]
        assert _unreadable(reader) == [1, 3]

    def test_an_undecodable_record_may_be_the_first(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nothing was read yet whose position could be counted on from."""
        needs(log, "holds_undecodable")
        reader = self._read_through(log, open_transport, "x1")
        assert (reader.values, _unreadable(reader)) == ([b"1"], [0])

    def test_an_undecodable_record_may_be_the_last(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nothing comes whose offset would show that it was passed: the position does."""
        needs(log, "holds_undecodable")
        reader = self._read_through(log, open_transport, "0x")
        assert (reader.values, _unreadable(reader)) == ([b"0"], [1])

    def test_an_undecodable_record_may_be_alone(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is told, and what is published afterwards arrives."""
        needs(log, "holds_undecodable")
        reader = self._read_through(log, open_transport, "x")
        assert (reader.values, _unreadable(reader)) == ([], [0])

        log.publish(reader.found[0].source.topic, b"next")
        reader.read_on(1)
        assert _unreadable(reader) == [0]

    def test_undecodable_records_in_a_row_are_told_one_by_one(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Each is one that somebody sent, and has to hear of."""
        needs(log, "holds_undecodable")
        reader = self._read_through(log, open_transport, "0xxx4")
        assert (reader.values, _unreadable(reader)) == ([b"0", b"4"], [1, 2, 3])

    def test_an_undecodable_record_says_where_and_why(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """One line: it goes to a log."""
        needs(log, "holds_undecodable")
        reader = self._read_through(log, open_transport, "0x")
        (told,) = reader.told(Unreadable)
        assert told.source == reader.found[0].source
        assert told.why.strip()
        assert "\n" not in told.why

    def test_an_undecodable_record_does_not_count_as_unwanted(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nobody could say whether it was wanted: the matcher is not asked."""
        needs(log, "holds_undecodable")
        topic = new_topic(log)
        _fill(log, topic, "0x2x")
        reader = self.read(open_transport, topic)
        asked: list[Headers] = []

        def refuse(_key: bytes | None, headers: Headers) -> bool:
            asked.append(headers)
            return False

        reader.until_at(4, wanted=refuse)

        assert [list(headers) for headers in asked] == [[("name", b"value")]] * 2
        assert reader.passed_over == 2
        assert _unreadable(reader) == [1, 3]

    def test_an_undecodable_record_does_not_hold_other_partitions_up(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nor does it cost one of their records."""
        needs(log, "holds_undecodable")
        topic = new_topic(log, 2)
        publish(log, topic, 5, partition=1)
        _fill(log, topic, "xx2x")
        reader = self.read(open_transport, topic, 2)

        reader.until_at(4, 5)
        assert (reader.offsets(0), reader.offsets(1)) == ([2], [0, 1, 2, 3, 4])

        log.publish_undecodable(topic)
        log.publish(topic, b"next", partition=1)
        reader.until_at(5, 6)
        assert _unreadable(reader) == [0, 1, 3, 4]

    def test_reading_may_start_at_an_undecodable_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Where a journal stopped right before it: told once more, and passed."""
        needs(log, "holds_undecodable")
        topic = new_topic(log)
        _fill(log, topic, "0x2")
        reader = self.start(open_transport, topic)

        reader.assign_all(1, position=1)
        reader.until_at(3)

        assert (reader.values, _unreadable(reader)) == ([b"2"], [1])

    def test_an_undecodable_record_is_not_told_to_who_reads_past_it(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Although a driver may fetch the batch that it is in."""
        needs(log, "holds_undecodable")
        topic = new_topic(log)
        _fill(log, topic, "0x2")
        reader = self.read(open_transport, topic)
        reader.until_at(3)

        reader.transport.assign({TopicPartition(topic, 0): 2})
        reader.until(lambda: reader.values == [b"0", b"2", b"2"])

        assert _unreadable(reader) == [1]

    def test_an_undecodable_record_is_told_once(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """However often is polled afterwards, one record at a time or many."""
        needs(log, "holds_undecodable")
        topic = new_topic(log)
        _fill(log, topic, "0xx3")
        reader = self.read(open_transport, topic)

        reader.until(lambda: reader.positions.get(TopicPartition(topic, 0)) == 4, max_records=1)
        for _ in range(5):
            reader.poll(0.02)

        assert (reader.offsets(), _unreadable(reader)) == ([0, 3], [1, 2])

    def _read_through(self, log: Log, open_transport: OpenTransport, pattern: str) -> Reader:
        topic = new_topic(log)
        _fill(log, topic, pattern)
        reader = self.read(open_transport, topic)
        reader.until_at(len(pattern))
        return reader
