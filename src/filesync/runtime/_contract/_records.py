"""Records: what arrives is what was sent, as far as it is wanted."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

from filesync._model import Headers, TopicPartition
from filesync.runtime._contract._reader import Log, OpenTransport, Part, new_topic, publish
from filesync.transport import Unreadable

__all__ = ["RecordsPart"]


class RecordsPart(Part):
    """What arrives."""

    def test_headers_keep_order_repeats_and_null(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nothing is sorted, merged or made text."""
        topic = new_topic(log)
        headers = [("b", b"1"), ("a", None), ("b", b""), ("ü", b"\xff")]
        log.publish(topic, b"with", headers=headers)
        log.publish(topic, b"without")
        reader = self.start(open_transport, topic)

        reader.assign_all(1)
        reader.read_on(2)

        assert [list(record.headers) for record in reader.records] == [headers, []]

    def test_null_and_empty_are_different(self, log: Log, open_transport: OpenTransport) -> None:
        """A tombstone is no empty file."""
        topic = new_topic(log)
        pairs: list[tuple[bytes | None, bytes | None]] = [
            (b"key", None),
            (b"key", b""),
            (None, b"value"),
            (b"", b"value"),
        ]
        for key, value in pairs:
            log.publish(topic, value, key=key)
        reader = self.start(open_transport, topic)

        reader.assign_all(1)
        reader.read_on(4)

        assert [(record.key, record.value) for record in reader.records] == pairs

    def test_timestamps_are_seconds(self, log: Log, open_transport: OpenTransport) -> None:
        """Milliseconds survive as fractions."""
        topic = new_topic(log)
        log.publish(topic, b"", timestamp=1_700_000_000.125)
        reader = self.start(open_transport, topic)

        reader.assign_all(1)
        reader.read_on(1)

        assert reader.records[0].timestamp == 1_700_000_000.125

    def test_each_partition_arrives_in_order(self, log: Log, open_transport: OpenTransport) -> None:
        """However they are mixed with each other."""
        topic = new_topic(log, 3)
        for number in range(30):
            log.publish(topic, b"%d" % number, partition=number % 3)
        reader = self.start(open_transport, topic)

        reader.assign_all(3)
        reader.read_on(30)

        for partition in range(3):
            theirs = [each for each in reader.records if each.source.partition == partition]
            assert [each.offset for each in theirs] == list(range(10))
            assert [each.value for each in theirs] == [b"%d" % n for n in range(partition, 30, 3)]

    def test_a_record_that_cannot_be_decoded_is_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is passed over: those before and behind it arrive."""
        topic = new_topic(log)
        for value in (b"0", None, b"2", None, b"4"):
            if value is None:
                log.publish_undecodable(topic)
            else:
                log.publish(topic, value, headers=[("name", b"value")])
        reader = self.start(open_transport, topic)

        reader.assign_all(1)
        reader.until(lambda: reader.positions.get(TopicPartition(topic, 0)) == 5)

        assert reader.values == [b"0", b"2", b"4"]
        told = [each for each in reader.faults if isinstance(each, Unreadable)]
        assert [each.offset for each in told] == [1, 3]

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

        reader = self.start(open_transport, topic)
        reader.assign_all(1)
        reader.read_on(2, wanted=look)

        assert seen == [(b"key", [("name", b"value")]), (None, [])]

    def test_what_is_not_wanted_is_counted(self, log: Log, open_transport: OpenTransport) -> None:
        """And positions move past it, even where nothing was wanted."""
        topic = new_topic(log, 2)
        for number in range(20):
            log.publish(topic, b"", key=b"%d" % (number % 2), partition=0)
        publish(log, topic, 3, partition=1)
        reader = self.start(open_transport, topic)
        reader.assign_all(2)
        ends = {TopicPartition(topic, 0): 20, TopicPartition(topic, 1): 3}

        reader.until(lambda: reader.positions == ends, wanted=lambda key, _: key == b"1")

        assert [record.offset for record in reader.records] == list(range(1, 20, 2))
        assert reader.passed_over == 13
