"""
What every transport promises, as tests that its author runs.

A third party subclasses `TransportContract` in a test file, and gives it two
pytest fixtures: ``log``, a broker to steer, and ``open_transport``, which
opens the transport under test on a topic of that broker and closes it at the
end. Where the transport looks for new topics and partitions now and then, it
should be opened so that it looks about every second.

::

    class TestMyTransport(TransportContract):
        @pytest.fixture
        def log(self) -> Iterator[Log]: …

        @pytest.fixture
        def open_transport(self, log: Log) -> Iterator[OpenTransport]: …
"""

# ruff: noqa: S101, TID251 - these are tests: they assert, and they act.

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable
from typing import Protocol

from filesync._model import Headers, Record, TopicPartition
from filesync.exceptions import TransportError
from filesync.transport import (
    Fault,
    Matcher,
    OutOfRange,
    PartitionFound,
    PartitionLost,
    Polled,
    TopicRecreated,
    Transport,
    Unreadable,
)

__all__ = ["Log", "OpenTransport", "Reader", "TransportContract"]

#: Opens a transport on a topic; not started. It is closed when the test ends.
OpenTransport = Callable[[str], Transport]


class Log(Protocol):
    """A broker that can be steered. Offsets start at 0; what is published is at once readable."""

    def create_topic(self, name: str, partitions: int = 1) -> object:
        """Create a topic; raise when it exists."""

    def delete_topic(self, name: str) -> object:
        """Delete a topic."""

    def add_partitions(self, name: str, total: int) -> object:
        """Let a topic, to which nothing was published, have *total* partitions."""

    def publish(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int = 0,
        timestamp: float | None = None,
    ) -> object:
        """Append a record; return when it is in the log."""

    def publish_undecodable(self, topic: str) -> object:
        """Append to partition 0 a record with a header name that is not UTF-8."""

    def delete_records(self, source: TopicPartition, before: int) -> object:
        """Remove the records below offset *before*."""

    def stop(self) -> object:
        """Go away."""

    def start(self) -> object:
        """Come back, with everything that was there."""

    def told(self, source: TopicPartition) -> int | None:
        """Return what the transport under test told of *source*."""


def everything(_key: bytes | None, _headers: Headers) -> bool:
    """Want every record."""
    return True


class Reader:
    """
    A transport, and what it brought so far.

    Attributes:
        transport: Started.
        records: In the order in which they arrived.
        positions: The last one of each partition.
        passed_over: Records that were not wanted.
        faults: In order.
        patience: Seconds to wait for what must come.
    """

    def __init__(self, transport: Transport, patience: float = 10.0) -> None:
        self.transport = transport
        self.patience = patience
        self.records: list[Record] = []
        self.positions: dict[TopicPartition, int] = {}
        self.passed_over = 0
        self.faults: list[Fault] = []

    @property
    def found(self) -> list[PartitionFound]:
        """The partitions that were found, in order."""
        return [fault for fault in self.faults if isinstance(fault, PartitionFound)]

    @property
    def values(self) -> list[bytes | None]:
        """The values of the records."""
        return [record.value for record in self.records]

    def poll(
        self, timeout: float = 0.2, *, max_records: int = 500, wanted: Matcher = everything
    ) -> Polled:
        """Poll once, and add what that brought."""
        polled = self.transport.poll(timeout, max_records, wanted)
        self.records += polled.records
        self.positions.update(polled.positions)
        self.passed_over += polled.passed_over
        self.faults += polled.faults
        return polled

    def until(self, condition: Callable[[], object], *, wanted: Matcher = everything) -> None:
        """Poll until *condition*, which must come within `patience`."""
        deadline = time.monotonic() + self.patience
        while not condition():
            assert time.monotonic() < deadline, f"not within {self.patience:g} s; {self}"
            self.poll(wanted=wanted)

    def read_on(self, count: int, *, wanted: Matcher = everything) -> None:
        """Poll until *count* records are here, and see that no more come."""
        self.until(lambda: len(self.records) >= count, wanted=wanted)
        self.poll(0.05, wanted=wanted)
        assert len(self.records) == count, self.records

    def assign_all(self, partitions: int, position: int | None = None) -> None:
        """Wait until so many partitions are found; read all from *position*, or their starts."""
        self.until(lambda: len(self.found) >= partitions)
        self.transport.assign(
            {each.source: each.start if position is None else position for each in self.found}
        )

    def told(self, kind: type[Fault]) -> list[Fault]:
        """Return the faults of one kind."""
        return [fault for fault in self.faults if isinstance(fault, kind)]

    def __str__(self) -> str:
        return (
            f"{len(self.records)} records, positions {self.positions}, faults {self.faults}, "
            f"{self.transport.health()}"
        )


class TransportContract:
    """
    Subclass it, and give it the fixtures ``log`` and ``open_transport``.

    Attributes:
        patience: Seconds to wait for what must come.
    """

    patience = 10.0

    # -- Partitions ---------------------------------------------------------

    def test_every_partition_is_found(self, log: Log, open_transport: OpenTransport) -> None:
        """Nobody else is needed for that, and nothing is told twice."""
        topic = _new_topic(log, 3)
        reader = self._start(open_transport, topic)

        reader.until(lambda: len(reader.found) >= 3)
        reader.poll(0.1)

        assert sorted(each.source.partition for each in reader.found) == [0, 1, 2]
        assert {each.source.topic for each in reader.found} == {topic}

    def test_a_partition_is_found_with_its_extent(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The start is what can still be read, the end is the next offset to be written."""
        topic = _new_topic(log)
        _publish(log, topic, 5)
        log.delete_records(TopicPartition(topic, 0), 2)
        reader = self._start(open_transport, topic)

        reader.until(lambda: reader.found)

        assert (reader.found[0].start, reader.found[0].end) == (2, 5)

    def test_nothing_is_read_before_it_is_assigned(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A transport has no opinion about where to start."""
        topic = _new_topic(log)
        _publish(log, topic, 2)
        reader = self._start(open_transport, topic)

        reader.until(lambda: reader.found)
        reader.poll(0.3)

        assert not reader.records
        assert not reader.positions

    def test_a_topic_that_is_created_later_is_found(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Until then health says so, and the transport does not create it."""
        topic = _new_name()
        reader = self._start(open_transport, topic)
        reader.until(lambda: topic in reader.transport.health().cause)
        assert not reader.transport.health().up

        log.create_topic(topic)  # Raises, had the transport created it.
        reader.until(lambda: reader.found)
        reader.until(lambda: reader.transport.health().up)

    def test_a_partition_that_is_added_is_found(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Those that were there are not told again."""
        topic = _new_topic(log)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)

        log.add_partitions(topic, 2)
        reader.until(lambda: len(reader.found) >= 2)

        assert [each.source.partition for each in reader.found] == [0, 1]

    def test_a_topic_that_is_deleted_is_lost(self, log: Log, open_transport: OpenTransport) -> None:
        """It is no longer read, and health says why."""
        topic = _new_topic(log)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)

        log.delete_topic(topic)
        reader.until(lambda: reader.told(PartitionLost))

        assert reader.told(PartitionLost) == [PartitionLost(source=TopicPartition(topic, 0))]
        assert not reader.transport.health().up

    def test_a_topic_that_was_recreated_is_another_one(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It is told, found anew, and can be read from its start."""
        topic = _new_topic(log)
        _publish(log, topic, 2)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)
        reader.read_on(2)
        before = reader.found[0].topic_id

        log.delete_topic(topic)
        log.create_topic(topic)
        reader.until(lambda: len(reader.found) >= 2)
        after = reader.found[1].topic_id
        assert before != after
        assert reader.told(TopicRecreated) == [TopicRecreated(topic=topic, topic_id=str(after))]

        _publish(log, topic, 3)
        reader.records.clear()
        reader.transport.assign({reader.found[1].source: 0})
        reader.read_on(3)
        assert [record.offset for record in reader.records] == [0, 1, 2]

    # -- Positions ----------------------------------------------------------

    def test_a_position_names_the_next_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """A partition that is assigned at a record's successor starts right after it."""
        topic = _new_topic(log)
        _publish(log, topic, 3)
        reader = self._start(open_transport, topic)

        reader.assign_all(1, position=2)
        reader.read_on(1)

        assert [(record.offset, record.value) for record in reader.records] == [(2, b"2")]
        assert reader.positions == {TopicPartition(topic, 0): 3}

    def test_only_what_is_assigned_is_read(self, log: Log, open_transport: OpenTransport) -> None:
        """The other partition stays where it is until it is assigned too."""
        topic = _new_topic(log, 2)
        for partition in (0, 1):
            _publish(log, topic, 2, partition=partition)
        reader = self._start(open_transport, topic)
        reader.until(lambda: len(reader.found) >= 2)

        reader.transport.assign({TopicPartition(topic, 1): 0})
        reader.read_on(2)
        assert {record.source.partition for record in reader.records} == {1}

        reader.transport.assign({TopicPartition(topic, 0): 1})
        reader.read_on(3)
        assert reader.positions == {TopicPartition(topic, 0): 2, TopicPartition(topic, 1): 2}

    def test_assigning_again_goes_back(self, log: Log, open_transport: OpenTransport) -> None:
        """What was fetched in advance is not delivered; other partitions go on."""
        topic = _new_topic(log, 2)
        for partition in (0, 1):
            _publish(log, topic, 40, partition=partition)
        reader = self._start(open_transport, topic)
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
        topic = _new_topic(log, 2)
        stray = TopicPartition(topic, 0)
        for partition in (0, 1):
            _publish(log, topic, 2, partition=partition)
        reader = self._start(open_transport, topic)
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
        topic = _new_topic(log)
        stray = TopicPartition(topic, 0)
        _publish(log, topic, 4)
        log.delete_records(stray, 3)
        reader = self._start(open_transport, topic)

        reader.assign_all(1, position=1)
        reader.until(lambda: reader.told(OutOfRange))
        assert reader.told(OutOfRange) == [OutOfRange(source=stray, position=1, start=3, end=4)]

        reader.transport.assign({stray: 3})
        reader.read_on(1)

    def test_only_positions_that_moved_are_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Neither being assigned nor waiting moves one."""
        topic = _new_topic(log, 2)
        _publish(log, topic, 1, partition=1)
        reader = self._start(open_transport, topic)

        reader.assign_all(2)
        reader.read_on(1)
        assert reader.positions == {TopicPartition(topic, 1): 1}

        assert not reader.poll(0.3).positions

    def test_offsets_are_told_to_the_broker(self, log: Log, open_transport: OpenTransport) -> None:
        """Forwards and backwards: it is the number that counts."""
        topic = _new_topic(log)
        source = TopicPartition(topic, 0)
        _publish(log, topic, 3)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)

        for offset in (3, 1):
            assert reader.transport.commit_offsets({source: offset}).error is None
            assert log.told(source) == offset

    def test_offsets_can_be_told_while_a_poll_runs(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Another thread does it; neither waits for the other."""
        topic = _new_topic(log)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)
        source = TopicPartition(topic, 0)
        errors: list[str | None] = []

        def tell() -> None:
            errors.append(reader.transport.commit_offsets({source: 0}).error)
            reader.transport.wake()

        with _Beside(tell):
            reader.until(lambda: errors)
        assert errors == [None]

    # -- Records ------------------------------------------------------------

    def test_headers_keep_order_repeats_and_null(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nothing is sorted, merged or made text."""
        topic = _new_topic(log)
        headers = [("b", b"1"), ("a", None), ("b", b""), ("ü", b"\xff")]
        log.publish(topic, b"with", headers=headers)
        log.publish(topic, b"without")
        reader = self._start(open_transport, topic)

        reader.assign_all(1)
        reader.read_on(2)

        assert [list(record.headers) for record in reader.records] == [headers, []]

    def test_null_and_empty_are_different(self, log: Log, open_transport: OpenTransport) -> None:
        """A tombstone is no empty file."""
        topic = _new_topic(log)
        pairs: list[tuple[bytes | None, bytes | None]] = [
            (b"key", None),
            (b"key", b""),
            (None, b"value"),
            (b"", b"value"),
        ]
        for key, value in pairs:
            log.publish(topic, value, key=key)
        reader = self._start(open_transport, topic)

        reader.assign_all(1)
        reader.read_on(4)

        assert [(record.key, record.value) for record in reader.records] == pairs

    def test_timestamps_are_seconds(self, log: Log, open_transport: OpenTransport) -> None:
        """Milliseconds survive as fractions."""
        topic = _new_topic(log)
        log.publish(topic, b"", timestamp=1_700_000_000.125)
        reader = self._start(open_transport, topic)

        reader.assign_all(1)
        reader.read_on(1)

        assert reader.records[0].timestamp == 1_700_000_000.125

    def test_each_partition_arrives_in_order(self, log: Log, open_transport: OpenTransport) -> None:
        """However they are mixed with each other."""
        topic = _new_topic(log, 3)
        for number in range(30):
            log.publish(topic, b"%d" % number, partition=number % 3)
        reader = self._start(open_transport, topic)

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
        topic = _new_topic(log)
        for value in (b"0", None, b"2", None, b"4"):
            if value is None:
                log.publish_undecodable(topic)
            else:
                log.publish(topic, value, headers=[("name", b"value")])
        reader = self._start(open_transport, topic)

        reader.assign_all(1)
        reader.until(lambda: reader.positions.get(TopicPartition(topic, 0)) == 5)

        assert reader.values == [b"0", b"2", b"4"]
        told = [each for each in reader.faults if isinstance(each, Unreadable)]
        assert [each.offset for each in told] == [1, 3]

    # -- Wanted -------------------------------------------------------------

    def test_the_matcher_sees_key_and_headers(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Of every record, in order; headers are never None."""
        topic = _new_topic(log)
        log.publish(topic, b"", key=b"key", headers=[("name", b"value")])
        log.publish(topic, b"")
        seen: list[tuple[bytes | None, list[tuple[str, bytes | None]]]] = []

        def look(key: bytes | None, headers: Headers) -> bool:
            seen.append((key, list(headers)))
            return True

        reader = self._start(open_transport, topic)
        reader.assign_all(1)
        reader.read_on(2, wanted=look)

        assert seen == [(b"key", [("name", b"value")]), (None, [])]

    def test_what_is_not_wanted_is_counted(self, log: Log, open_transport: OpenTransport) -> None:
        """And positions move past it, even where nothing was wanted."""
        topic = _new_topic(log, 2)
        for number in range(20):
            log.publish(topic, b"", key=b"%d" % (number % 2), partition=0)
        _publish(log, topic, 3, partition=1)
        reader = self._start(open_transport, topic)
        reader.assign_all(2)
        ends = {TopicPartition(topic, 0): 20, TopicPartition(topic, 1): 3}

        reader.until(lambda: reader.positions == ends, wanted=lambda key, _: key == b"1")

        assert [record.offset for record in reader.records] == list(range(1, 20, 2))
        assert reader.passed_over == 13

    # -- Waiting ------------------------------------------------------------

    def test_no_more_than_max_records_are_taken(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Those that are not wanted count too, and none is lost."""
        topic = _new_topic(log)
        _publish(log, topic, 10)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)

        while len(reader.records) + reader.passed_over < 10:
            polled = reader.poll(self.patience, max_records=3, wanted=lambda key, _: key == b"1")
            assert 1 <= len(polled.records) + polled.passed_over <= 3
        assert reader.passed_over == 10

    def test_a_poll_returns_when_something_arrives(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """It does not wait for more."""
        topic = _new_topic(log)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)
        reader.poll(0.1)

        with _Beside(lambda: log.publish(topic, b"now")):
            started = time.monotonic()
            reader.poll(self.patience)

        assert reader.values == [b"now"]
        assert time.monotonic() - started < self.patience / 2

    def test_an_empty_poll_keeps_its_timeout(self, log: Log, open_transport: OpenTransport) -> None:
        """It neither returns early nor waits longer."""
        reader = self._start(open_transport, _new_topic(log))
        reader.assign_all(1)
        reader.poll(0.2)

        for timeout in (0.0, 0.4):
            started = time.monotonic()
            polled = reader.poll(timeout)
            took = time.monotonic() - started
            assert not any((polled.records, polled.positions, polled.passed_over, polled.faults))
            assert timeout * 0.95 <= took < timeout + 0.3

    def test_a_wake_ends_a_running_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """Another thread may do that."""
        reader = self._start(open_transport, _new_topic(log))
        reader.assign_all(1)
        reader.poll(0.2)

        with _Beside(reader.transport.wake):
            started = time.monotonic()
            reader.poll(self.patience)

        assert time.monotonic() - started < 1

    def test_a_wake_ends_the_next_poll(self, log: Log, open_transport: OpenTransport) -> None:
        """And that one only."""
        reader = self._start(open_transport, _new_topic(log))
        reader.assign_all(1)
        reader.poll(0.2)

        reader.transport.wake()
        started = time.monotonic()
        reader.poll(self.patience)
        assert time.monotonic() - started < 1

        started = time.monotonic()
        reader.poll(0.4)
        assert time.monotonic() - started >= 0.38

    # -- Weather ------------------------------------------------------------

    def test_a_broker_that_is_down_at_start_is_waited_for(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Health says so; nothing is raised; reading starts when it is back."""
        topic = _new_topic(log)
        _publish(log, topic, 1)
        log.stop()
        try:
            reader = self._start(open_transport, topic)
            deadline = time.monotonic() + 0.6
            while time.monotonic() < deadline:
                reader.poll()
            assert not reader.transport.health().up
            assert reader.transport.health().cause
            assert not reader.faults
        finally:
            log.start()

        reader.assign_all(1)
        reader.read_on(1)
        assert reader.transport.health().up

    def test_a_broker_that_goes_and_comes_costs_no_record(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """And none is repeated; health follows, and changes only when its cause does."""
        topic = _new_topic(log)
        _publish(log, topic, 2)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)
        reader.read_on(2)
        healthy = reader.transport.health()
        reader.poll(0.1)
        assert healthy.up
        assert reader.transport.health() is healthy

        log.stop()
        try:
            reader.until(lambda: not reader.transport.health().up)
            error = reader.transport.commit_offsets({TopicPartition(topic, 0): 2}).error
            assert error
            assert "\n" not in error
        finally:
            log.start()
        _publish(log, topic, 2)

        reader.read_on(4)
        reader.until(lambda: reader.transport.health().up)
        assert [record.offset for record in reader.records] == [0, 1, 2, 3]

    # -- Ends ---------------------------------------------------------------

    def test_closing_twice_is_fine(self, log: Log, open_transport: OpenTransport) -> None:
        """Also while the broker is away, and where nothing was ever started."""
        topic = _new_topic(log)
        unused = open_transport(topic)
        reader = self._start(open_transport, topic)
        reader.assign_all(1)
        log.stop()
        try:
            for transport in (reader.transport, unused):
                started = time.monotonic()
                transport.close(2)
                transport.close(2)
                assert time.monotonic() - started < 3
        finally:
            log.start()

    def test_a_poll_after_the_close_raises(self, log: Log, open_transport: OpenTransport) -> None:
        """So does one before the start: "nothing arrived" would be a lie."""
        topic = _new_topic(log)
        unused = open_transport(topic)
        reader = self._start(open_transport, topic)
        reader.transport.close(2)

        for transport in (unused, reader.transport):
            polled = None
            with contextlib.suppress(TransportError):
                polled = transport.poll(0, 1, everything)
            assert polled is None
        assert reader.transport.commit_offsets({TopicPartition(topic, 0): 0}).error
        assert not reader.transport.health().up

    def _start(self, open_transport: OpenTransport, topic: str) -> Reader:
        transport = open_transport(topic)
        transport.start()
        return Reader(transport, self.patience)


def _new_name() -> str:
    return f"contract-{uuid.uuid4().hex}"


def _new_topic(log: Log, partitions: int = 1) -> str:
    name = _new_name()
    log.create_topic(name, partitions)
    return name


def _publish(log: Log, topic: str, count: int, *, partition: int = 0) -> None:
    for number in range(count):
        log.publish(topic, b"%d" % number, partition=partition)


class _Beside:
    """Does something in another thread a moment after the block was entered."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._timer = threading.Timer(0.1, work)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.join()
