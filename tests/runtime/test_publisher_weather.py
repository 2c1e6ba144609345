"""The publisher when something comes between: no topic, no broker, files that change, a stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from filesync import Parting, ShipmentEnded
from filesync.exceptions import TransportError
from filesync.producer import Outgoing
from support.office import TOPIC, Office, Spying, said
from support.waiting import eventually


def test_a_topic_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In time; nothing was sent, and no topic created."""
    office = Office(tmp_path)
    file = office.file("a.rpz", b"x")
    with (
        office.publisher(timeout=1) as publisher,
        pytest.raises(TransportError, match="nothing was published: there is no topic") as caught,
    ):
        publisher.publish([file], ["ns1"])

    assert caught.value.retriable
    assert office.broker.find(TOPIC) is None


def test_it_waits_for_a_topic_that_comes(tmp_path: Path) -> None:
    """Whoever creates it needs no second call."""
    office = Office(tmp_path)

    def create() -> None:
        eventually(lambda: office.producer.polls > 0, 10, what="a poll")
        office.broker.create_topic(TOPIC)

    waiting = threading.Thread(target=create)
    waiting.start()
    ended = office.publish([office.file("a.rpz", b"x")], "ns1")
    waiting.join()

    assert said(ended) == [("a.rpz", "ns1", Parting.SENT)]


def test_what_is_not_acknowledged_takes_its_configuration_with_it(office: Office) -> None:
    """For that host; others get theirs. No receiver sees half of a file."""
    office.producer = Spying(office.broker, TOPIC, max_record_bytes=3)
    files = [office.file("a.rpz", b"1234567"), office.file("r.yaml", b"a: 1")]
    with office.publisher() as publisher:
        ended = publisher.publish(files, ["ns1"])

    assert said(ended) == [
        ("a.rpz", "ns1", Parting.FAILED),
        ("r.yaml", "ns1", Parting.WITHHELD),
    ]
    assert "chunk 1 of 2: a record of 4 bytes is too large" in str(ended[0])
    assert str(ended[1]) == "r.yaml to ns1: withheld: a.rpz was not sent"
    assert [told for told in office.told if isinstance(told, ShipmentEnded)] == ended
    assert office.received() == {}


@pytest.mark.parametrize("how", ["shorter", "longer", "other bytes"])
def test_a_file_that_changes_meanwhile_never_becomes_whole(office: Office, how: str) -> None:
    """Its last chunk is kept back: a receiver would put two versions together."""
    file = office.file("a.rpz", b"0123456789ab")
    path = Path(file.path)
    changes: dict[str, Callable[[], object]] = {
        "shorter": lambda: path.write_bytes(b"01234"),
        "longer": lambda: path.write_bytes(b"0123456789ab and more"),
        "other bytes": lambda: path.write_bytes(b"ba9876543210"),
    }

    def at_the_second(record: Outgoing) -> None:
        if record.ticket == 2:
            changes[how]()

    office.producer.before = at_the_second
    ended = office.publish([file], "ns1")

    assert said(ended) == [("a.rpz", "ns1", Parting.FAILED)]
    assert "chunk 3 of 3: the file was changed while it was sent" in str(ended[0])
    assert office.received() == {}


def test_a_file_that_is_replaced_meanwhile_is_sent_as_it_was(office: Office) -> None:
    """By renaming: what was opened stays as it is."""
    file = office.file("a.rpz", b"0123456789")
    other = Path(office.file("other", b"x").path)

    def replace(record: Outgoing) -> None:
        if record.ticket == 1:
            other.rename(file.path)

    office.producer.before = replace
    office.publish([file], "ns1", "ns2")

    assert office.received() == {"a.rpz": b"0123456789"}


def test_it_can_be_asked_to_stop(office: Office) -> None:
    """What is not whole is told, and never becomes whole."""
    files = [
        office.file("a.rpz", b"1234"),
        office.file("b.rpz", b"12345678"),
        office.file("c", b""),
    ]
    publisher = office.publisher()

    def stop_at_the_second(record: Outgoing) -> None:
        if record.ticket == 2:
            publisher.cancel()
            office.broker.stop()

    office.producer.before = stop_at_the_second
    with publisher:
        ended = publisher.publish(files, ["ns1"])

    assert {each.parting for each in ended} == {Parting.CANCELLED}
    assert len(ended) == 3
    office.broker.start()
    assert office.received() == {}


def test_asked_to_stop_while_it_waits_it_ends(tmp_path: Path) -> None:
    """Nothing was sent then."""
    office = Office(tmp_path)
    publisher = office.publisher()
    publisher.cancel()
    with publisher:
        ended = publisher.publish([office.file("a.rpz", b"x")], ["ns1"])

    assert [str(each) for each in ended] == [
        "a.rpz to ns1: cancelled: nothing of it was sent",
    ]


def test_it_goes_on_after_an_outage(office: Office) -> None:
    """In one call nothing is lost; that the broker is away is told, and that it is back."""

    def pause(record: Outgoing) -> None:
        if record.ticket == 2:
            office.broker.stop()
            threading.Timer(0.3, office.broker.start).start()

    office.producer.before = pause
    ended = office.publish([office.file("a.rpz", b"0123456789")], "ns1")

    assert said(ended) == [("a.rpz", "ns1", Parting.SENT)]
    assert office.received() == {"a.rpz": b"0123456789"}
