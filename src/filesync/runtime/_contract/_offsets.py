"""Offsets that are told to the broker: for lag tools, and never at the cost of reading."""

# ruff: noqa: S101 - these are tests: they assert.

from __future__ import annotations

import threading
import time

from filesync._model import TopicPartition
from filesync.runtime._contract._log import Log, down, new_topic, publish
from filesync.runtime._contract._reader import Beside, OpenTransport, Part

__all__ = ["OffsetsPart"]

#: Seconds that "a few seconds" may be: the driver's 3, and a busy machine.
_BOUND = 7.0


class OffsetsPart(Part):
    """What `Transport.commit_offsets` does, and does not."""

    def test_offsets_are_told_to_the_broker(self, log: Log, open_transport: OpenTransport) -> None:
        """Forwards and backwards: it is the number that counts."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 3)
        reader = self.read(open_transport, topic)

        for offset in (3, 1):
            assert reader.transport.commit_offsets({source: offset}).error is None
            assert log.told(source) == offset

    def test_offsets_of_several_partitions_are_told_at_once(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Each its own; one that is left out stays what it was."""
        topic = new_topic(log, 3)
        sources = [TopicPartition(topic, partition) for partition in range(3)]
        for partition in range(3):
            publish(log, topic, 3, partition=partition)
        reader = self.read(open_transport, topic, 3)

        told = {sources[0]: 1, sources[1]: 2, sources[2]: 3}
        assert reader.transport.commit_offsets(told).error is None
        assert reader.transport.commit_offsets({sources[1]: 3}).error is None

        assert [log.told(source) for source in sources] == [1, 3, 3]

    def test_telling_no_offsets_is_fine(self, log: Log, open_transport: OpenTransport) -> None:
        """A receiver that has read nothing yet has nothing to tell."""
        topic = new_topic(log)
        reader = self.read(open_transport, topic)

        assert reader.transport.commit_offsets({}).error is None
        assert log.told(TopicPartition(topic, 0)) is None

    def test_offsets_can_be_told_before_anything_is_assigned(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """What the journal knows is told, whatever is read now."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 2)
        reader = self.start(open_transport, topic)
        reader.until(lambda: reader.found)

        assert reader.transport.commit_offsets({source: 2}).error is None

        assert log.told(source) == 2

    def test_offsets_told_do_not_move_reading(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """They are never read back: not by who told them, nor by who comes after."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        publish(log, topic, 4)
        reader = self.read(open_transport, topic)
        reader.read_on(4)
        assert reader.transport.commit_offsets({source: 1}).error is None

        publish(log, topic, 1, first=4)
        reader.read_on(5)
        again = self.read(open_transport, topic)
        again.read_on(5)

        assert reader.offsets() == again.offsets() == [0, 1, 2, 3, 4]

    def test_reading_tells_no_offsets_by_itself(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Nor does closing: what is told is what is on disk, which only the caller knows."""
        topic = new_topic(log)
        publish(log, topic, 3)
        reader = self.read(open_transport, topic)
        reader.read_on(3)
        reader.transport.close(2)

        assert log.told(TopicPartition(topic, 0)) is None

    def test_offsets_of_what_is_not_there_are_refused(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """With one line about it, and within seconds."""
        topic = new_topic(log)
        reader = self.read(open_transport, topic)

        started = time.monotonic()
        error = reader.transport.commit_offsets({TopicPartition(topic, 77): 1}).error

        assert time.monotonic() - started < _BOUND
        assert error
        assert "\n" not in error

    def test_offsets_cannot_be_told_before_the_start_or_after_the_end(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """That is a value too: whoever tells them is another thread, and may come late."""
        topic = new_topic(log)
        unused = open_transport(topic)
        reader = self.read(open_transport, topic)
        reader.transport.close(2)

        for transport in (unused, reader.transport):
            error = transport.commit_offsets({TopicPartition(topic, 0): 0}).error
            assert error
            assert "\n" not in error

    def test_offsets_can_be_told_while_a_poll_runs(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Another thread does it; neither waits for the other."""
        topic = new_topic(log)
        reader = self.read(open_transport, topic)
        source = TopicPartition(topic, 0)
        errors: list[str | None] = []

        def tell() -> None:
            errors.append(reader.transport.commit_offsets({source: 0}).error)
            reader.transport.wake()

        with Beside(tell):
            reader.until(lambda: errors)
        assert errors == [None]

    def test_offsets_are_told_in_bounded_time_while_the_broker_is_down(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """Right after it went, and when health knows; with one line, not with an exception."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        reader = self.read(open_transport, topic)
        with down(log):
            for known in (False, True):
                if known:
                    reader.until(lambda: not reader.transport.health().up)
                started = time.monotonic()
                error = reader.transport.commit_offsets({source: 0}).error
                assert time.monotonic() - started < _BOUND
                assert error
                assert "\n" not in error

        reader.until(lambda: reader.transport.health().up)
        reader.until(lambda: reader.transport.commit_offsets({source: 0}).error is None)
        assert log.told(source) == 0

    def test_closing_does_not_wait_for_offsets_that_are_being_told(
        self, log: Log, open_transport: OpenTransport
    ) -> None:
        """The broker is silent; the one who tells gets an error, and is not left hanging."""
        topic = new_topic(log)
        source = TopicPartition(topic, 0)
        reader = self.read(open_transport, topic)
        errors: list[str | None] = []
        begun = threading.Event()

        def tell() -> None:
            begun.set()
            errors.append(reader.transport.commit_offsets({source: 0}).error)

        with down(log):
            teller = threading.Thread(target=tell)
            teller.start()
            begun.wait(self.patience)
            started = time.monotonic()
            reader.transport.close(2)
            assert time.monotonic() - started < 3
            teller.join(_BOUND)
            assert not teller.is_alive()
        assert errors
        assert errors[0]
