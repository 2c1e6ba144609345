"""`filesync publish` as its own process, on a real broker: what it says became of files is true."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from support.host import Host
from support.kafka import KafkaBroker
from support.promises import is_promised
from support.publishing import SENT, STOPPED, UNSENT, Log, Publish, Tag, new_topic
from support.resident import DRIVERS

pytestmark = pytest.mark.kafka

#: Whoever sends with the one is read with the other.
_OTHER = dict(zip(DRIVERS, reversed(DRIVERS), strict=True))

_PACKAGES = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}

_MIB = 1024 * 1024

_CHUNK = 512 * 1024

#: A topic that takes only small records.
_NARROW = {"max.message.bytes": "100000"}

CONFIG = b"# \xc3\xa9t\xc3\xa9\nworkers: 2\nrpz: [block.rpz]\n"


@pytest.fixture(name="driver", params=DRIVERS)
def _driver(request: pytest.FixtureRequest) -> str:
    """Return the driver that files are sent with, each in turn."""
    name: str = request.param
    for each, package in _PACKAGES.items():
        if not is_promised(each, package):
            pytest.skip(f"this environment does not promise {each}")
    return name


@pytest.fixture(name="send")
def _send(publish: Publish, kafka_broker: KafkaBroker, topic: str, driver: str) -> Publish:
    """Return the same for one driver and topic: its arguments are the words."""
    return partial(publish, driver, kafka_broker.bootstrap, topic)


Receive = Callable[..., Host]


@pytest.fixture(name="receive")
def _receive(tmp_path: Path, kafka_broker: KafkaBroker) -> Iterator[Receive]:
    """Return what starts a host that reads *topic* with *driver*, and has caught up."""
    hosts: list[Host] = []

    def receive(driver: str, topic: str, quiet: str = "0s") -> Host:
        folder = tmp_path / f"host-{len(hosts)}"
        host = Host(folder, kafka_broker.bootstrap, topic, driver=driver, quiet=quiet)
        hosts.append(host)
        host.start()
        host.wait_until_ready()
        return host

    yield receive
    for host in hosts:
        host.close()


@pytest.fixture(name="reader")
def _reader(receive: Receive, topic: str, driver: str) -> Host:
    """Return a host that reads with the other driver than `send` sends with."""
    return receive(_OTHER[driver], topic)


def _random_file(folder: Path, size: int) -> tuple[Path, bytes]:
    data = random.Random(size).randbytes(size)
    path = folder / "block.rpz"
    path.write_bytes(data)
    return path, data


# What arrives


@pytest.mark.parametrize(
    ("driver", "partitions"),
    [("confluent-kafka", 1), ("confluent-kafka", 4), ("kafka-python", 4)],
    indirect=["driver"],
)
def test_data_then_configuration_arrive_at_every_host(
    tmp_path: Path,
    kafka_broker: KafkaBroker,
    driver: str,
    publish: Publish,
    receive: Receive,
    *,
    partitions: int,
) -> None:
    """Three files to two hosts: each host has its own copy of each; one reload."""
    topic = new_topic(kafka_broker, partitions)
    chunks = 120 if partitions > 1 else 10
    block, data = _random_file(tmp_path, chunks * _CHUNK)
    empty, configuration = tmp_path / "empty.rpz", tmp_path / "local.yaml"
    empty.write_bytes(b"")
    configuration.write_bytes(CONFIG)
    host = receive(_OTHER[driver], topic, "2s")
    files = [f"resolver.yaml={configuration}", str(block), str(empty)]
    sending = publish(driver, kafka_broker.bootstrap, topic, *files, "--to", "ns1", "ns2")

    assert sending.ended(SENT)
    assert sending.err == ""
    counts = {"block.rpz": chunks, "empty.rpz": 1, "resolver.yaml": 1}
    copies = {(hostname, name): counts[name] for hostname in ("ns1", "ns2") for name in counts}
    for hostname, name in copies:
        assert f"{name} to {hostname}: sent" in sending.out
    host.wait_for("reload_assumed")
    assert host.stop() == 0
    assert host.holds("block.rpz", data)
    assert host.holds("empty.rpz", b"")
    assert host.holds("resolver.yaml", CONFIG)
    assert host.names() == sorted(counts)
    committed = [each["file"] for each in host.events("committed")]
    assert sorted(committed) == sorted(counts)
    # Of several partitions each is read at its own pace: a configuration may overtake.
    assert partitions > 1 or committed[-1] == "resolver.yaml"
    assert (len(host.calls("reload")), len(host.calls("renew"))) == (1, 0)

    records = Log(kafka_broker, topic).records()
    tags = [Tag.of(each) for each in records]
    assert Counter((tag.hostname, tag.name) for tag in tags) == copies
    assert len(set(tags)) == len(tags)
    assert len({tag.transfer for tag in tags}) == 6
    # Handed over after all data of the same host was acknowledged.
    sent_at = [(tag, record.timestamp()[1]) for tag, record in zip(tags, records, strict=True)]
    for hostname in ("ns1", "ns2"):
        (last,) = [
            at for tag, at in sent_at if (tag.hostname, tag.name) == (hostname, "resolver.yaml")
        ]
        assert all(at <= last for tag, at in sent_at if tag.hostname == hostname)


def test_a_file_lands_in_one_partition_whoever_sends_it(
    tmp_path: Path, kafka_broker: KafkaBroker, publish: Publish
) -> None:
    """So an older version never overtakes a newer one, sent by another program."""
    for name, package in _PACKAGES.items():
        if not is_promised(name, package):
            pytest.skip(f"this environment does not promise {name}")
    topic = new_topic(kafka_broker, 7)
    names = [*(f"{number}.rpz" for number in range(8)), "\u00e9t\u00e9.rpz", "sub/x.yaml"]
    path = tmp_path / "x"
    path.write_bytes(b"a: 1\n")
    words = [*(f"{name}={path}" for name in names), "--to", "ns1"]
    for each in [publish(driver, kafka_broker.bootstrap, topic, *words) for driver in DRIVERS]:
        assert each.ended(SENT)

    records = Log(kafka_broker, topic).records()
    places = {(Tag.of(each).name, each.partition()) for each in records}
    assert len(records) == 2 * len(names)
    assert sorted(name for name, _ in places) == sorted(names)
    assert len({partition for _, partition in places}) > 1


# What goes wrong on the way


@pytest.mark.timeout(180)
def test_a_broker_that_is_killed_costs_time_only(
    tmp_path: Path,
    kafka_broker: KafkaBroker,
    topic: str,
    driver: str,
    send: Publish,
    receive: Receive,
) -> None:
    """In the middle of a file: all of it is sent, every chunk once, and it arrives."""
    path, data = _random_file(tmp_path, 200 * _MIB)
    log = Log(kafka_broker, topic)
    sending = send(str(path), "--to", "ns1")
    log.wait_for(20, sending)
    kafka_broker.kill()
    assert sending.runs, "killed too late"
    kafka_broker.start()

    assert sending.ended(SENT)
    assert "block.rpz to ns1: sent" in sending.out
    tags = [Tag.of(each) for each in log.records()]
    assert len({tag.transfer for tag in tags}) == 1
    assert [tag.index for tag in tags] == list(range(1, 401)), "each once, and in order"
    host = receive(_OTHER[driver], topic)
    host.wait_for("committed", file="block.rpz")
    assert host.stop() == 0
    assert host.holds("block.rpz", data)


def test_what_is_stopped_halfway_never_becomes_a_file(
    tmp_path: Path, kafka_broker: KafkaBroker, topic: str, send: Publish, reader: Host
) -> None:
    """SIGINT ends it soon, with a status of its own; the same file can be sent again."""
    path, data = _random_file(tmp_path, 100 * _MIB)
    log = Log(kafka_broker, topic)
    sending = send(str(path), "--to", "ns1")
    log.wait_for(5, sending)
    sending.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert sending.ended(STOPPED)
    assert time.monotonic() - began < 5
    assert "block.rpz to ns1: cancelled" in sending.err
    assert "Traceback" not in sending.err
    stopped = {Tag.of(each).transfer for each in log.records()}
    assert len(stopped) == 1
    assert not (reader.files_dir / "block.rpz").exists()

    assert send(str(path), "--to", "ns1").ended(SENT)
    reader.wait_for("committed", file="block.rpz")
    assert reader.stop() == 0
    assert len(reader.events("committed")) == 1
    assert len({Tag.of(each).transfer for each in log.records()} - stopped) == 1
    assert reader.holds("block.rpz", data)


def test_a_file_that_is_appended_to_meanwhile_never_arrives(
    tmp_path: Path, kafka_broker: KafkaBroker, topic: str, send: Publish, reader: Host
) -> None:
    """It fails, and says how to replace files; no receiver has half of two versions."""
    path, _ = _random_file(tmp_path, 100 * _MIB)
    sending = send(str(path), "--to", "ns1")
    Log(kafka_broker, topic).wait_for(1, sending)
    with path.open("ab") as file:
        file.write(b"more\n")

    assert sending.ended(UNSENT)
    assert "block.rpz to ns1: failed: chunk 200 of 200: the file was changed" in sending.err
    other = tmp_path / "other.rpz"
    other.write_bytes(b"after it\n")
    assert send(str(other), "--to", "ns1").ended(SENT)
    reader.wait_for("committed", file="other.rpz")
    assert reader.stop() == 0
    assert [each["file"] for each in reader.events("committed")] == ["other.rpz"]
    assert not (reader.files_dir / "block.rpz").exists()


def test_a_configuration_is_withheld_when_its_data_was_not_sent(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str, publish: Publish
) -> None:
    """A data file that the broker does not take: its host gets no configuration that names it."""
    topic = new_topic(kafka_broker, config=_NARROW)
    path, _ = _random_file(tmp_path, _MIB)
    configuration = tmp_path / "resolver.yaml"
    configuration.write_bytes(CONFIG)
    words = (str(configuration), str(path), "--to", "ns1")
    sending = publish(driver, kafka_broker.bootstrap, topic, *words)
    assert sending.ended(UNSENT)
    assert "resolver.yaml to ns1: withheld: block.rpz was not sent" in sending.err
    assert "2 of 2 were not sent" in sending.err
    assert Log(kafka_broker, topic).records() == []


# What the broker does not take


def test_a_chunk_that_is_too_large_is_told_and_smaller_ones_go(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str, publish: Publish
) -> None:
    """The broker bounds records, and batches of them: it is said what to do, and that helps."""
    topic = new_topic(kafka_broker, config=_NARROW)
    path, _ = _random_file(tmp_path, 2 * _MIB)
    words = (driver, kafka_broker.bootstrap, topic, str(path), "--to", "ns1")
    sending = publish(*words)
    assert sending.ended(UNSENT)
    assert "block.rpz to ns1: failed: chunk 1 of 4: " in sending.err
    assert "send smaller chunks, or raise max.message.bytes" in sending.err
    assert Log(kafka_broker, topic).records() == []

    assert publish(*words, "--chunk-bytes", "30000").ended(SENT)
    tags = [Tag.of(each) for each in Log(kafka_broker, topic).records()]
    assert [tag.index for tag in tags] == list(range(1, 71))
