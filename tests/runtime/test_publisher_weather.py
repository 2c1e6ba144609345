"""The publisher when something comes between: no topic, no broker, files that change, a stop."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from filesync import Parting, ShipmentEnded
from filesync.exceptions import PublishError, TransportError
from filesync.producer import Acknowledged, Delivery, Outgoing, TopicLost
from filesync.runtime import FileToSend
from support.office import TOPIC, Office, Spying, said
from support.waiting import eventually


class _Slow(Spying):
    """A producer that tells one thing at a time."""

    def start(self) -> None:
        super().start()
        self._held: list[Delivery] = []

    def poll(self, timeout: float) -> Sequence[Delivery]:
        self._held += super().poll(0.0 if self._held else timeout)
        told, self._held = self._held[:1], self._held[1:]
        return told


class _Losing(Spying):
    """A producer that notices the loss of the topic with the first acknowledgement."""

    def poll(self, timeout: float) -> Sequence[Delivery]:
        told = super().poll(timeout)
        known = any(isinstance(each, Acknowledged) for each in told)
        return [*told, TopicLost(why="it is gone")] if known else told


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


def test_a_topic_that_is_created_anew_meanwhile_is_told(office: Office) -> None:
    """What was begun fails, with the reason; sent again it arrives."""
    anew = "the topic was created anew while files were sent: send all of them again"

    def recreate(record: Outgoing) -> None:
        if record.ticket == 3:
            office.broker.recreate(TOPIC)

    office.producer.before = recreate
    files = [office.file("a.rpz", b"01234567"), office.file("r.yaml", b"a: 1")]
    with office.publisher() as publisher:
        ended = publisher.publish(files, ["ns1"])
        assert [str(each) for each in ended] == [
            "a.rpz to ns1: sent",
            f"r.yaml to ns1: failed: {anew}",
        ]
        office.producer.before = lambda _record: None
        publisher.publish(files, ["ns1"])
    assert office.received() == {"a.rpz": b"01234567", "r.yaml": b"a: 1"}


def test_what_is_told_late_of_one_publish_is_not_taken_for_the_next(office: Office) -> None:
    """It failed with records under way, which are answered while others are."""
    office.producer = _Slow(office.broker, TOPIC, max_record_bytes=3)
    with office.publisher() as publisher:
        files = [office.file("a.rpz", b"1234567890123")]
        assert said(publisher.publish(files, ["ns1"])) == [("a.rpz", "ns1", Parting.FAILED)]
        files = [office.file("b.rpz", b"123"), office.file("c.rpz", b"12345678")]
        ended = publisher.publish(files, ["ns1"])

    assert sorted(said(ended)) == [
        ("b.rpz", "ns1", Parting.SENT),
        ("c.rpz", "ns1", Parting.FAILED),
    ]


def test_a_topic_of_which_the_producer_says_that_it_is_lost_is_lost(office: Office) -> None:
    """No configuration follows the data that was in it, though `sent` was said of that."""
    files = [office.file("a.rpz", b"x"), office.file("r.yaml", b"a: 1")]
    office.producer = _Losing(office.broker, TOPIC, timeout=5.0)
    with office.publisher() as publisher:
        ended = publisher.publish(files, ["ns1"])

    assert [str(each) for each in ended] == [
        "a.rpz to ns1: sent",
        "r.yaml to ns1: withheld: it is gone",
    ]


def test_when_nobody_answers_for_the_time_of_a_record_nothing_more_is_tried(office: Office) -> None:
    """Each window would take as long: what is left fails at once, and for the same reason."""
    sent: list[int] = []

    def vanish(record: Outgoing) -> None:
        sent.append(record.ticket)
        office.broker.stop()

    office.producer = Spying(office.broker, TOPIC, timeout=0.2)
    office.producer.before = vanish
    files = [office.file(f"{name}.rpz", b"x" * 40_000) for name in "abcd"]
    ended = office.publish(files, "ns1")

    assert {each.parting for each in ended} == {Parting.FAILED}
    assert len(ended) == 4
    assert len(sent) == 10_000, "one window"
    assert str(ended[3]) == "d.rpz to ns1: failed: not acknowledged within 0.2 s"


def test_a_file_of_which_the_time_was_set_back_is_changed_too(office: Office) -> None:
    """As much, and of the same time, but something else: whoever copies with times does that."""
    file = office.file("a.rpz", b"0123456789ab")
    before = Path(file.path).stat()

    def rewrite(record: Outgoing) -> None:
        if record.ticket == 2:
            Path(file.path).write_bytes(b"ba9876543210")
            os.utime(file.path, ns=(before.st_atime_ns, before.st_mtime_ns))

    office.producer.before = rewrite
    ended = office.publish([file], "ns1")

    assert said(ended) == [("a.rpz", "ns1", Parting.FAILED)]
    assert office.received() == {}


def test_a_file_that_gets_another_name_meanwhile_is_not_changed(office: Office) -> None:
    """Its inode is, its content is not."""
    file = office.file("a.rpz", b"0123456789ab")

    def link(record: Outgoing) -> None:
        if record.ticket == 2:
            os.link(file.path, f"{file.path}.old")

    office.producer.before = link
    office.publish([file], "ns1")
    assert office.received() == {"a.rpz": b"0123456789ab"}


def test_asked_to_stop_while_it_plans_it_judges_no_configuration(office: Office) -> None:
    """That may take a while; a look judges them all the same."""
    publisher = office.publisher()

    def files() -> Iterator[FileToSend]:
        yield office.file("a.rpz", b"x")
        publisher.cancel()
        yield office.file("r.yaml", b"a: [")

    ended = publisher.publish(files(), ["ns1"])
    assert said(ended) == [
        ("a.rpz", "ns1", Parting.CANCELLED),
        ("r.yaml", "ns1", Parting.CANCELLED),
    ]
    with pytest.raises(PublishError, match="receivers would refuse it"):
        publisher.check(files(), ["ns1"])


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
