"""Records: what arrives is what was sent."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from filesync._model import Record, TopicPartition
from filesync.runtime._contract._log import Log, new_topic, publish
from filesync.runtime._contract._reader import OpenTransport, Part

__all__ = ["RecordsPart"]

_EVERY_BYTE = bytes(range(256))


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
        reader = self.read(open_transport, topic)

        reader.read_on(2)

        assert [list(record.headers) for record in reader.records] == [headers, []]

    def test_header_names_are_any_text(self, log: Log, open_transport: OpenTransport) -> None:
        """An empty one, and those of every script: whoever refuses them loses the record."""
        topic = new_topic(log)
        headers = [(name, b"x") for name in ("", " ", "Größe", "имя", "名前", "🗂", "n" * 1000)]
        log.publish(topic, b"", headers=headers)
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        assert list(reader.records[0].headers) == headers

    def test_many_headers_keep_their_order(self, log: Log, open_transport: OpenTransport) -> None:
        """There is no limit at 10 or 100 of them."""
        topic = new_topic(log)
        headers = [(f"name-{number % 7}", b"%d" % number) for number in range(300)]
        log.publish(topic, b"", headers=headers)
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        assert list(reader.records[0].headers) == headers

    def test_a_record_without_headers_has_an_empty_sequence(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is never None, so that nobody has to ask."""
        topic = new_topic(log)
        log.publish(topic, b"")
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        assert isinstance(reader.records[0].headers, Sequence)
        assert len(reader.records[0].headers) == 0

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
        reader = self.read(open_transport, topic)

        reader.read_on(4)

        assert [(record.key, record.value) for record in reader.records] == pairs

    def test_a_tombstone_keeps_its_headers(self, log: Log, open_transport: OpenTransport) -> None:
        """They say which file it is about."""
        topic = new_topic(log)
        log.publish(topic, None, key=b"key", headers=[("file-name", b"a.rpz")])
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        assert list(reader.records[0].headers) == [("file-name", b"a.rpz")]
        assert reader.records[0].value is None

    def test_every_byte_survives(self, log: Log, open_transport: OpenTransport) -> None:
        """In key, value and header: nothing takes them for text, or ends at a NUL."""
        topic = new_topic(log)
        log.publish(topic, _EVERY_BYTE, key=_EVERY_BYTE[::-1], headers=[("name", _EVERY_BYTE * 2)])
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        record = reader.records[0]
        assert (record.key, record.value) == (_EVERY_BYTE[::-1], _EVERY_BYTE)
        assert list(record.headers) == [("name", _EVERY_BYTE * 2)]

    def test_a_large_record_arrives_whole(self, log: Log, open_transport: OpenTransport) -> None:
        """Just below the 1 MB that brokers take where nobody configured them."""
        topic = new_topic(log)
        value = (_EVERY_BYTE * 3600)[:900_000]
        log.publish(topic, value)
        log.publish(topic, b"small")
        reader = self.read(open_transport, topic)

        reader.read_on(2)

        assert reader.records[0].value == value
        assert reader.records[1].value == b"small"

    def test_large_records_in_a_row_arrive_in_order(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """More than one answer of a broker may hold; the small ones between them are not lost."""
        topic = new_topic(log)
        sizes = [900_000, 1, 800_000, 0, 900_000, 700_000, 2]
        for number, size in enumerate(sizes):
            log.publish(topic, b"%d" % number * size)
        reader = self.read(open_transport, topic)

        reader.read_on(len(sizes))

        assert reader.values == [b"%d" % number * size for number, size in enumerate(sizes)]

    def test_timestamps_are_seconds(self, log: Log, open_transport: OpenTransport) -> None:
        """Milliseconds survive as fractions."""
        topic = new_topic(log)
        log.publish(topic, b"", timestamp=1_700_000_000.125)
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        assert reader.records[0].timestamp == 1_700_000_000.125

    def test_a_missing_timestamp_is_none_or_that_of_the_log(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is never 0 or -1, which would be a time."""
        topic = new_topic(log)
        log.publish(topic, b"")
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        timestamp = reader.records[0].timestamp
        assert timestamp is None or abs(timestamp - time.time()) < 3600

    def test_timestamps_need_not_grow(self, log: Log, open_transport: OpenTransport) -> None:
        """It is the offset that orders: clocks of senders differ."""
        topic = new_topic(log)
        given = [1_700_000_000.0, 1_600_000_000.001, 1_700_000_000.0, 1_750_000_000.999]
        for timestamp in given:
            log.publish(topic, b"", timestamp=timestamp)
        reader = self.read(open_transport, topic)

        reader.read_on(4)

        assert [record.timestamp for record in reader.records] == given
        assert reader.offsets() == [0, 1, 2, 3]

    def test_everything_has_the_type_that_the_interface_says(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A driver's own types never escape: they may compare equal, and change later."""
        topic = new_topic(log)
        log.publish(topic, b"value", key=b"key", headers=[("name", b"value"), ("null", None)])
        reader = self.read(open_transport, topic)
        polled = reader.poll()
        while not reader.records:
            polled = reader.poll(self.patience)

        (record,) = polled.records
        assert type(record) is Record
        assert type(record.source) is TopicPartition
        assert type(record.offset) is int
        assert record.timestamp is None or type(record.timestamp) is float
        assert (type(record.key), type(record.value)) == (bytes, bytes)
        assert [(type(name), type(value)) for name, value in record.headers] == [
            (str, bytes),
            (str, type(None)),
        ]
        assert isinstance(polled.records, Sequence)
        assert isinstance(polled.faults, Sequence)
        assert isinstance(polled.positions, Mapping)
        assert type(polled.passed_over) is int
        found = reader.found[0]
        assert (type(found.start), type(found.end)) == (int, int)
        for text in (found.topic_id, found.cluster_id):
            assert text is None or type(text) is str

    def test_a_record_says_where_it_was_read(self, log: Log, open_transport: OpenTransport) -> None:
        """Topic, partition and offset are what the journal keeps of it."""
        topic = new_topic(log, 2)
        publish(log, topic, 2, partition=0)
        publish(log, topic, 1, partition=1)
        reader = self.read(open_transport, topic, 2)

        reader.read_on(3)

        assert sorted((each.source, each.offset) for each in reader.records) == [
            (TopicPartition(topic, 0), 0),
            (TopicPartition(topic, 0), 1),
            (TopicPartition(topic, 1), 0),
        ]

    def test_each_partition_arrives_in_order(self, log: Log, open_transport: OpenTransport) -> None:
        """However they are mixed with each other."""
        topic = new_topic(log, 3)
        for number in range(30):
            log.publish(topic, b"%d" % number, partition=number % 3)
        reader = self.read(open_transport, topic, 3)

        reader.read_on(30)

        for partition in range(3):
            theirs = [each for each in reader.records if each.source.partition == partition]
            assert [each.offset for each in theirs] == list(range(10))
            assert [each.value for each in theirs] == [b"%d" % n for n in range(partition, 30, 3)]

    def test_records_of_other_topics_do_not_arrive(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Not even of one whose name begins alike."""
        topic = new_topic(log)
        other = f"{topic}-other"
        log.create_topic(other)
        log.publish(other, b"other")
        log.publish(topic, b"ours")
        reader = self.read(open_transport, topic)

        reader.read_on(1)

        assert reader.values == [b"ours"]
        assert {each.source.topic for each in reader.found} == {topic}
