"""The publisher, with a log in memory: what is sent, in which order, and what is not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve

from filesync import FileRule, Kind, Limits, Parting, RouteBy, Shipment
from filesync.exceptions import PublishError
from filesync.producer import Acknowledged, Outgoing
from filesync.runtime import FileToSend
from filesync.testing import MemoryProducer
from support.office import Office, said

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


def test_a_generation_that_was_given_does_not_move_the_clock(office: Office) -> None:
    """However large it was: the next one is again that of the clock, which others keep to."""
    with office.publisher() as publisher:
        publisher.publish([office.file("a.rpz", b"x")], ["ns1"], generation=10**18)
        publisher.publish([office.file("b.rpz", b"y")], ["ns1"])

    given, clocked = [int(dict(it.headers)["generation"] or b"") for it in office.records()]
    assert (given, clocked < 10**14) == (10**18, True)


@pytest.mark.parametrize("zone", ["", "a\nb", "\udc80", "\u2028"])
def test_a_zone_id_must_be_one(office: Office, zone: str) -> None:
    """As the settings of its receivers have it: nobody would be reached by such an id."""
    office.settings = evolve(office.settings, route_by=RouteBy.ZONE_ID, zone_id="Zone 1")
    with pytest.raises(PublishError, match="whom to send to must"):
        office.publish([office.file("a.rpz", b"x")], "Zone 1", zone)
    assert office.records() == []


#: Of these keys the hash is known: UtilsTest of Apache Kafka, `testMurmur2`.
_HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.mark.parametrize("key", _HASHES)
def test_a_key_decides_the_partition_as_with_every_driver(office: Office, key: bytes) -> None:
    """With the log in memory too: so a test with it sees the order of production."""
    topic = "many"
    office.broker.create_topic(topic, 1009)
    producer = MemoryProducer(office.broker, topic)
    producer.start()
    producer.send(Outgoing(1, key, b"", []))
    (told,) = producer.poll(0.0)
    assert isinstance(told, Acknowledged)
    assert told.source.partition == (_HASHES[key] & 0x7FFFFFFF) % 1009


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


def test_what_will_be_sent_is_told_before_any_of_it_is(office: Office) -> None:
    """Data before configurations, each copy of its own."""
    seen: list[tuple[list[str], int]] = []

    def note(shipments: list[Shipment]) -> None:
        seen.append(([str(shipment) for shipment in shipments], len(office.records())))

    files = [office.file("a.json", b"{}"), office.file("b.rpz", b"x")]
    with office.publisher() as publisher:
        publisher.publish(files, ["ns1", "ns2"], planned=note)

    names = ["b.rpz to ns1", "b.rpz to ns2", "a.json to ns1", "a.json to ns2"]
    assert seen == [(names, 0)]


# What is not sent


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("x.tmp", b"", "receivers refuse the name 'x.tmp'"),
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


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="of Linux")
def test_a_file_that_has_more_than_its_size_is_refused(office: Office) -> None:
    """Those below /proc say 0 and have content: an empty file would be sent of it."""
    with pytest.raises(PublishError, match="no size, but content"):
        office.publish([FileToSend("/proc/self/status")], "ns1")
    assert office.records() == []


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
