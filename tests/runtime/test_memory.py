"""The log in memory and the manual clock, beyond what the transport contract asks."""

from __future__ import annotations

import pytest

from filesync import TopicPartition
from filesync.exceptions import TransportError
from filesync.testing import ManualClock, MemoryBroker, MemoryTransport, Reader
from filesync.transport import PartitionFound, TopicRecreated

_SOURCE = TopicPartition("zones", 0)


@pytest.fixture(name="broker")
def _broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.create_topic("zones")
    return broker


@pytest.fixture(name="reader")
def _reader(broker: MemoryBroker) -> Reader:
    transport = MemoryTransport(broker, "zones")
    transport.start()
    reader = Reader(transport)
    reader.assign_all(1)
    return reader


def test_a_record_is_returned_as_it_will_be_read(broker: MemoryBroker, reader: Reader) -> None:
    """With where it is, and without a timestamp where none was given."""
    record = broker.publish("zones", b"value", key=b"key", headers=[("name", None)])

    reader.read_on(1)

    assert reader.records == [record]
    assert (record.source, record.offset, record.timestamp) == (_SOURCE, 0, None)


def test_positions_move_past_gaps(broker: MemoryBroker, reader: Reader) -> None:
    """As they do past the records of an aborted transaction."""
    broker.publish("zones", b"0")
    assert broker.skip("zones") == 1

    reader.until(lambda: reader.positions == {_SOURCE: 2})

    assert reader.values == [b"0"]
    assert reader.passed_over == 0


def test_a_topic_recreated_in_one_go_is_told(broker: MemoryBroker, reader: Reader) -> None:
    """No poll sees it missing; what was committed is gone with it."""
    reader.transport.commit_offsets({_SOURCE: 0})
    topic_id = broker.recreate("zones", 2)

    reader.until(lambda: len(reader.found) == 3)

    assert reader.told(TopicRecreated) == [TopicRecreated(topic="zones", topic_id=topic_id)]
    assert [type(fault) for fault in reader.faults[-2:]] == [PartitionFound, PartitionFound]
    assert broker.committed == {}


def test_a_recreated_topic_keeps_its_number_of_partitions(broker: MemoryBroker) -> None:
    """Unless another one is given."""
    broker.add_partitions("zones", 3)
    broker.recreate("zones")
    transport = MemoryTransport(broker, "zones")
    transport.start()

    assert len(transport.poll(0, 1, lambda _key, _headers: True).faults) == 3


def test_deleting_more_than_there_is_deletes_everything(
    broker: MemoryBroker, reader: Reader
) -> None:
    """Offsets go on where they were."""
    broker.publish("zones", b"0")
    broker.delete_records(_SOURCE, 100)

    assert broker.publish("zones", b"1").offset == 1


def test_partitions_take_turns(broker: MemoryBroker) -> None:
    """A full one does not starve the others."""
    broker.add_partitions("zones", 2)
    for partition in (0, 1):
        for _ in range(4):
            broker.publish("zones", b"", partition=partition)
    reader = Reader(MemoryTransport(broker, "zones"))
    reader.transport.start()
    reader.assign_all(2)

    while len(reader.records) < 8:
        reader.poll(max_records=2)

    assert [record.source.partition for record in reader.records] == [0, 0, 1, 1, 0, 0, 1, 1]


def test_a_topic_is_created_once(broker: MemoryBroker) -> None:
    """Whoever wants it anew says so."""
    with pytest.raises(ValueError, match="there is a topic 'zones' already"):
        broker.create_topic("zones")


def test_offsets_of_what_is_not_there_are_refused(broker: MemoryBroker, reader: Reader) -> None:
    """A partition, or the whole topic."""
    assert reader.transport.commit_offsets({TopicPartition("zones", 7): 0}).error
    broker.delete_topic("zones")
    assert reader.transport.commit_offsets({_SOURCE: 0}).error


def test_health_says_how_far_it_came(broker: MemoryBroker) -> None:
    """From not started to closed."""
    transport = MemoryTransport(broker, "zones")
    assert transport.health().cause == "not started"
    transport.start()
    assert transport.health().up
    transport.close(0)
    assert transport.health().cause == "closed"
    with pytest.raises(TransportError, match="closed"):
        transport.assign({_SOURCE: 0})


def test_a_reader_tells_what_it_saw(broker: MemoryBroker, reader: Reader) -> None:
    """For the message of a test that fails."""
    broker.publish("zones", b"0")
    reader.read_on(1)
    assert "1 records" in str(reader)
    assert "zones" in str(reader)


def test_a_clock_goes_only_forwards() -> None:
    """And only when told."""
    clock = ManualClock(5.0)
    assert clock.advance(1.5) == clock.now == clock() == 6.5
    with pytest.raises(ValueError, match="does not go back"):
        clock.advance(-1)
