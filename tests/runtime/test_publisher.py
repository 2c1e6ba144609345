"""The publisher, with a log in memory: what is sent, in which order, and what is not."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from attrs import define, evolve, field

from filesync import (
    FileRule,
    HealthChanged,
    KafkaSettings,
    Kind,
    Limits,
    Parting,
    Record,
    RouteBy,
    Schedule,
    Settings,
    ShipmentEnded,
)
from filesync.exceptions import PublishError, TransportError
from filesync.producer import Delivery, Outgoing
from filesync.runtime import FileToSend, Publisher, Receiver
from filesync.testing import MemoryBroker, MemoryProducer, MemoryTransport
from support.waiting import eventually

TOPIC = "files"


class Spying(MemoryProducer):
    """A producer of which each record is seen before it goes out."""

    before: Callable[[Outgoing], None] = staticmethod(lambda _record: None)
    polls = 0

    def send(self, record: Outgoing) -> None:
        self.before(record)
        super().send(record)

    def poll(self, timeout: float) -> Sequence[Delivery]:
        self.polls += 1
        return super().poll(timeout)


@define
class Office:
    """A folder with files, a broker, and what was told."""

    folder: Path
    broker: MemoryBroker = field(factory=MemoryBroker)
    told: list[ShipmentEnded | HealthChanged] = field(factory=list)
    progress: list[tuple[int, int]] = field(factory=list)
    settings: Settings = field(init=False)
    producer: Spying = field(init=False)

    def __attrs_post_init__(self) -> None:
        files_dir = self.folder / "files"
        files_dir.mkdir()
        self.settings = Settings(
            hostname="ns1",
            kafka=KafkaSettings(topic=TOPIC, files_dir=str(files_dir)),
            schedule=Schedule(quiet=0.0, max_wait=0.0, min_gap=0.0),
        )
        self.producer = Spying(self.broker, TOPIC, timeout=5.0)

    def file(self, name: str, data: bytes) -> FileToSend:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        return FileToSend(str(path))

    def publisher(self, *, chunk_bytes: int = 4, timeout: float = 5.0) -> Publisher:
        return Publisher(
            self.settings,
            producer=self.producer,
            tell=self.told.append,
            progress=lambda *numbers: self.progress.append(numbers),
            chunk_bytes=chunk_bytes,
            timeout=timeout,
        )

    def publish(self, files: Sequence[FileToSend], *to: str) -> list[ShipmentEnded]:
        with self.publisher() as publisher:
            return publisher.publish(files, to)

    def records(self) -> list[Record]:
        topic = self.broker.find(TOPIC)
        assert topic is not None
        entries = itertools.chain.from_iterable(each.entries for each in topic.partitions)
        return [entry for entry in entries if isinstance(entry, Record)]

    def received(self) -> dict[str, bytes]:
        """Let a receiver read all that is there; return what it put in place."""
        receiver = Receiver(
            self.settings,
            transport=MemoryTransport(self.broker, TOPIC),
            finish_when_caught_up=True,
        )
        receiver.run()
        files_dir = Path(self.settings.kafka.files_dir)
        return {
            str(path.relative_to(files_dir)): path.read_bytes()
            for path in files_dir.rglob("*")
            if path.is_file() and not {".filesync", "0-0-0"} & {*path.parts}
        }


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Office:
    office = Office(tmp_path)
    office.broker.create_topic(TOPIC)
    return office


def said(ended: Sequence[ShipmentEnded]) -> list[tuple[str, str, Parting]]:
    """Return file, host and parting of each."""
    return [(each.shipment.name, each.shipment.hostname, each.parting) for each in ended]


# What is sent


def test_a_file_is_sent_whole_with_all_that_a_sender_can_say(office: Office) -> None:
    """Every chunk names transfer, size and generation; the last one the digest."""
    data = b"0123456789"
    ended = office.publish([office.file("block.rpz", data)], "ns1")

    assert said(ended) == [("block.rpz", "ns1", Parting.SENT)]
    records = office.records()
    assert [record.value for record in records] == [b"0123", b"4567", b"89"]
    assert {record.key for record in records} == {b"block.rpz"}
    headers = [dict(record.headers) for record in records]
    for index, each in enumerate(headers):
        assert each["hostname"] == b"ns1"
        assert each["files-name"] == each["file-name"] == b"block.rpz"
        assert each["total-chunks"] == b"3"
        assert each["chunk-index"] == b"%d" % (index + 1)
        assert each["file-size"] == b"10"
        assert each["transfer-id"] == headers[0]["transfer-id"]
        assert each["generation"] == headers[0]["generation"]
    digests = [each.get("file-sha256") for each in headers]
    assert digests == [None, None, hashlib.sha256(data).hexdigest().encode()]
    assert office.received() == {"block.rpz": data}


def test_data_goes_first_and_each_host_gets_a_transfer_of_its_own(office: Office) -> None:
    """A configuration may name the data, so it comes behind it, wherever it was named."""
    files = [office.file("r.yaml", b"a: 1\n"), office.file("a.rpz", b"x"), office.file("b", b"")]
    ended = office.publish(files, "ns1", "ns2", "NS1.")

    assert [each.shipment.name for each in ended[-2:]] == ["r.yaml", "r.yaml"]
    assert sorted(said(ended)) == sorted(
        (name, host, Parting.SENT) for name in ("a.rpz", "b", "r.yaml") for host in ("ns1", "ns2")
    )
    assert len({dict(record.headers)["transfer-id"] for record in office.records()}) == 6
    assert office.received() == {"a.rpz": b"x", "b": b"", "r.yaml": b"a: 1\n"}


def test_a_second_attempt_is_newer_than_the_first(office: Office) -> None:
    """Within one millisecond too: what is sent later is what is to be there."""
    with office.publisher() as publisher:
        for number in range(20):
            publisher.publish([office.file("a.rpz", b"%d" % number)], ["ns1"])

    generations = [int(dict(record.headers)["generation"] or b"") for record in office.records()]
    assert generations == sorted(set(generations))
    assert office.received() == {"a.rpz": b"19"}


def test_a_generation_can_be_given(office: Office) -> None:
    """An older one does not replace a newer one, though it is sent later."""
    with office.publisher() as publisher:
        publisher.publish([office.file("a.rpz", b"new")], ["ns1"], generation=7)
        publisher.publish([office.file("a.rpz", b"old")], ["ns1"], generation=6)

    assert office.received() == {"a.rpz": b"new"}


def test_a_file_can_have_another_name_for_receivers(office: Office) -> None:
    """Directories too."""
    file = office.file("local", b"x")
    office.publish([FileToSend(file.path, "zones/block.rpz")], "ns1")

    assert office.received() == {"zones/block.rpz": b"x"}


def test_routing_by_zone_id_puts_the_zone_into_the_key(office: Office) -> None:
    """Then all hosts of a zone share one copy."""
    office.settings = evolve(office.settings, route_by=RouteBy.ZONE_ID, zone_id="Zone 1")
    office.publish([office.file("a.rpz", b"x")], "Zone 1")

    assert [record.key for record in office.records()] == [b"Zone 1"]
    assert office.received() == {"a.rpz": b"x"}


def test_progress_counts_every_copy(office: Office) -> None:
    """It never goes back, and ends with all."""
    office.publish([office.file("a.rpz", b"x" * 1000)], "ns1", "ns2")

    assert office.progress == sorted(office.progress)
    assert office.progress[-1] == (2000, 2000)


# What is not sent


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.tmp", b"", "receivers refuse its name"),
        ("r.yaml", b"a: [", "receivers would refuse it: r.yaml, line"),
        ("r.json", b"\xff", "receivers would refuse it: r.json"),
        ("large.rpz", b"x" * 101, "receivers take 100 .*file-bytes"),
        ("long.rpz", b"x" * 50, "13 chunks; receivers take 10 .*larger chunks"),
        ("large.yaml", b"#" * 21, "receivers would refuse it: large.yaml: 21 bytes"),
        ("other.txt", b"", "matches no pattern"),
    ],
)
def test_what_receivers_would_refuse_is_refused_at_home(
    office: Office, name: str, data: bytes, said: str
) -> None:
    """Before anything is sent: not even the good file beside it."""
    rules = tuple(
        FileRule(match=match, kind=kind)
        for match, kind in (("*.rpz", Kind.DATA), ("*.[yj]*", Kind.CONFIG), ("*.tmp", Kind.DATA))
    )
    limits = Limits(file_bytes=100, chunks_per_file=10, config_bytes=20)
    office.settings = evolve(office.settings, files=rules, limits=limits)
    files = [office.file("good.rpz", b"x"), office.file(name, data)]

    with pytest.raises(PublishError, match=said) as caught:
        office.publish(files, "ns1")
    assert str(caught.value).startswith(files[1].path)
    assert office.records() == []


def test_what_cannot_be_read_is_refused(office: Office, tmp_path: Path) -> None:
    """A directory, a pipe, a file that is not there; a pipe is not waited for."""
    import os  # noqa: PLC0415 - only here.

    os.mkfifo(tmp_path / "pipe")
    for path, why in (("pipe", "no regular file"), ("files", "no regular"), ("gone", "No such")):
        with pytest.raises(PublishError, match=why):
            office.publish([FileToSend(str(tmp_path / path))], "ns1")


@pytest.mark.parametrize(
    ("to", "said"),
    [((), "nobody"), (("",), "host name"), (("a b",), "host name"), (("ns1", "é"), "host name")],
)
def test_a_host_must_be_one(office: Office, to: Sequence[str], said: str) -> None:
    """Nobody would be reached by such a name."""
    with pytest.raises(PublishError, match=said):
        office.publish([office.file("a.rpz", b"x")], *to)


def test_two_files_cannot_have_one_name(office: Office) -> None:
    """Which one is to be there could not be told."""
    files = [office.file("one/a.rpz", b"1"), office.file("two/a.rpz", b"2")]
    with pytest.raises(PublishError, match=r"another file has the name 'a\.rpz'"):
        office.publish(files, "ns1")
    with pytest.raises(PublishError, match="nothing to send"):
        office.publish([], "ns1")


@pytest.mark.parametrize("generation", [-1, 10**20])
def test_a_generation_must_fit_into_its_header(office: Office, generation: int) -> None:
    """As the wire format says."""
    with office.publisher() as publisher, pytest.raises(PublishError, match="a generation is 0"):
        publisher.publish([office.file("a.rpz", b"x")], ["ns1"], generation=generation)


@pytest.mark.parametrize("chunk_bytes", [0, 9 << 20])
def test_chunks_have_a_size_that_receivers_take(office: Office, chunk_bytes: int) -> None:
    """Theirs is the limit, as far as the settings tell."""
    with pytest.raises(ValueError, match="receivers take 1 to"):
        office.publisher(chunk_bytes=chunk_bytes)
    with pytest.raises(ValueError, match="time-out"):
        office.publisher(timeout=0)


def test_a_look_sends_nothing(office: Office) -> None:
    """It says what would be sent, and needs no broker."""
    office.broker.stop()
    shipments = office.publisher().check([office.file("a.rpz", b"x" * 9)], ["ns1", "ns2"])

    assert [(str(each), each.size, each.count) for each in shipments] == [
        ("a.rpz to ns1", 9, 3),
        ("a.rpz to ns2", 9, 3),
    ]
    assert office.records() == []


# Weather


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
