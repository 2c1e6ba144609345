"""Weather on a real broker: whoever is away, whenever, every file arrives whole."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from support.host import Host
from support.kafka import KafkaBroker
from support.waiting import eventually

pytestmark = pytest.mark.kafka

Send = Callable[..., None]

CHUNK = 64 * 1024
COUNT = 40


@pytest.fixture(name="quiet")
def _quiet() -> str:
    """Return a short one: most of these tests end with the action."""
    return "1s"


@pytest.fixture(name="block_list")
def _block_list() -> bytes:
    """Return a file of `COUNT` chunks."""
    return random.Random(3).randbytes(CHUNK * COUNT)


def _send_part(send: Send, data: bytes, only: str) -> None:
    send({"block.rpz": data}, "--chunk-bytes", str(CHUNK), "--only", only)


def _stored_bytes(host: Host) -> int:
    """Return how much of the transfer is on disk."""
    folder = host.files_dir / "block.rpz.chunks"
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_receiver_is_started_before_the_broker(
    host: Host, send: Send, kafka_broker: KafkaBroker
) -> None:
    """It waits, says why, and goes on by itself."""
    kafka_broker.kill()
    host.start()
    (health,) = host.wait_for("health_changed")
    assert kafka_broker.bootstrap in health["msg"]
    kafka_broker.start()
    send({"block.rpz": b"x"})
    host.wait_for("renew_assumed")
    assert host.stop() == 0
    assert host.holds("block.rpz", b"x")


def test_the_receiver_is_started_before_the_topic_exists(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str
) -> None:
    """It waits, says why, creates nothing, and goes on by itself."""
    kafka_broker.start()
    name = f"later-{tmp_path.name}"
    host = Host(tmp_path / "host", kafka_broker.bootstrap, name, driver=driver)
    try:
        host.start()
        (health,) = host.wait_for("health_changed")
        assert name in health["msg"]
        assert name not in kafka_broker.admin().list_topics(timeout=10).topics
        kafka_broker.create_topic(name)
        host.wait_until_ready()
        headers: list[tuple[str, str | bytes | None]] = [
            ("hostname", b"ns1"),
            ("file-name", b"a.rpz"),
        ]
        producer = kafka_broker.producer()
        producer.produce(name, value=b"x", headers=headers)
        assert producer.flush(10) == 0
        host.wait_for("committed", file="a.rpz")
        assert host.stop() == 0
    finally:
        host.close()


def test_the_broker_is_killed_in_the_middle_of_a_transfer(
    host: Host, send: Send, kafka_broker: KafkaBroker, block_list: bytes
) -> None:
    """Killed and restarted: the transfer goes on where it was, and nothing is stored twice."""
    host.start()
    host.wait_until_ready()
    _send_part(send, block_list, ":25")
    eventually(lambda: _stored_bytes(host) == 25 * CHUNK, 30, what="25 chunks on disk")
    kafka_broker.kill()
    host.wait_for("health_changed", count=2)
    kafka_broker.start()
    _send_part(send, block_list, "25:")
    host.wait_for("renew_assumed")
    assert host.stop() == 0
    assert host.holds("block.rpz", block_list)
    assert len(host.events("committed")) == 1
    assert len(host.calls("renew")) == 1


def test_the_receiver_is_killed_20_times_in_the_middle_of_a_transfer(
    host: Host, send: Send, block_list: bytes
) -> None:
    """Kill -9 after any number of chunks: the next process reads them again, and it ends whole."""
    chance = random.Random(4)
    host.start()
    host.wait_until_ready()
    sent = 0
    for cut in sorted(chance.sample(range(1, COUNT), 20)):
        _send_part(send, block_list, f"{sent}:{cut}")
        sent = cut
        wanted = chance.randint(1, sent) * CHUNK
        eventually(lambda: _stored_bytes(host) >= wanted, 30, what="chunks on disk")  # noqa: B023
        host.restart()
    _send_part(send, block_list, f"{sent}:")
    host.wait_for("renew_assumed")
    assert host.stop() == 0
    assert host.holds("block.rpz", block_list)
    assert len(host.events("committed")) == 1
    assert len(host.calls("renew")) == 1
    assert host.names() == ["block.rpz"], "nothing is left of the killed ones"


@pytest.mark.parametrize("quiet", ["5s"])
def test_the_receiver_is_killed_between_commit_and_renew(host: Host, send: Send) -> None:
    """The need is in the journal: the next process renews, and does not commit again."""
    host.start()
    host.wait_until_ready()
    send({"block.rpz": b"x"})
    host.wait_for("committed")
    host.restart()
    host.wait_for("renew_assumed")
    assert host.stop() == 0
    assert len(host.events("committed")) == 1
    assert len(host.calls("renew")) == 1


def test_what_was_sent_while_it_was_down_arrives(host: Host, send: Send, block_list: bytes) -> None:
    """Stopped in order, started again: it reads on where it was."""
    host.start()
    host.wait_until_ready()
    send({"first.rpz": b"first"})
    host.wait_for("renew_assumed")
    assert host.stop() == 0
    _send_part(send, block_list, ":")
    send({"resolver.yaml": b"workers: 1\n"})
    host.start()
    host.wait_for("reload_assumed")
    assert host.stop() == 0
    assert host.holds("block.rpz", block_list)
    assert host.holds("resolver.yaml", b"workers: 1\n")
    assert len(host.events("committed", "first.rpz")) == 1
    assert host.events("unchanged") == [], "nothing is read twice"
    assert (len(host.calls("renew")), len(host.calls("reload"))) == (1, 1)


def test_what_was_sent_before_its_first_start_arrives(host: Host, send: Send) -> None:
    """A new host gets the newest version of everything, with one action."""
    for version in range(3):
        send({"block.rpz": b"version %d" % version})
    send({"resolver.yaml": b"workers: 1\n"})
    host.start()
    host.wait_for("reload_assumed")
    assert host.stop() == 0
    assert host.holds("block.rpz", b"version 2")
    assert len(host.events("committed", "block.rpz")) == 1, "older versions never became visible"
    assert (len(host.calls("renew")), len(host.calls("reload"))) == (0, 1)


def test_a_wiped_directory_gets_every_file_again(
    host: Host, send: Send, kafka_broker: KafkaBroker, topic: str
) -> None:
    """The group's offsets stay on the broker, and are not what decides."""
    host.start()
    host.wait_until_ready()
    send({"block.rpz": b"x", "resolver.yaml": b"workers: 1\n"})
    host.wait_for("reload_assumed")
    eventually(lambda: _group_offset(kafka_broker, topic) == 2, 30, what="the group's offset told")
    assert host.stop() == 0
    for path in sorted(host.files_dir.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    host.start()
    host.wait_for("reload_assumed", count=2)
    assert host.stop() == 0
    assert host.holds("block.rpz", b"x")
    assert host.holds("resolver.yaml", b"workers: 1\n")
    assert _group_offset(kafka_broker, topic) == 2


def _group_offset(broker: KafkaBroker, topic: str) -> int | None:
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition  # noqa: PLC0415

    asked = ConsumerGroupTopicPartitions("filesync-ns1", [TopicPartition(topic, 0)])
    (future,) = broker.admin().list_consumer_group_offsets([asked]).values()
    (found,) = future.result(10).topic_partitions
    return int(found.offset)
