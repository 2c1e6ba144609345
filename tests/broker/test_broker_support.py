"""The broker that other tests lean on does what its docstring says."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from support import kafka
from support.kafka import PASSWORD, USER, BrokerError, Identity, KafkaBroker, ensure_jars
from support.waiting import eventually

pytestmark = pytest.mark.kafka


def publish(broker: KafkaBroker, topic: str, *values: bytes) -> None:
    """Publish *values* to partition 0; return when all are acknowledged."""
    producer = broker.producer()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0


def read(broker: KafkaBroker, topic: str, count: int) -> list[tuple[int | None, bytes | None]]:
    """Return offset and value of the first *count* records of partition 0."""
    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap,
            "group.id": "unused",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    with closing(consumer):
        records = [one_record(consumer) for _ in range(count)]
    return [(record.offset(), record.value()) for record in records]


def one_record(consumer: Consumer) -> Message:
    """Return the next record."""
    record = eventually(lambda: consumer.poll(0.1), 20, what="a record")
    assert record is not None
    assert record.error() is None
    return record


def is_let_in(address: str, **settings: str) -> bool:
    """Whether the broker talks to a client with these settings."""
    words = {name.replace("_", "."): value for name, value in settings.items()}
    client = AdminClient({"bootstrap.servers": address, "log_level": 0, **words})
    try:
        client.list_topics(timeout=2)
    except KafkaException:
        return False
    return True


@pytest.fixture(name="own_broker")
def _own_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    broker = KafkaBroker(tmp_path / "kafka")
    yield broker
    broker.destroy()


@pytest.fixture(name="secure_broker", scope="module")
def _secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    with KafkaBroker(tmp_path_factory.mktemp("secure") / "kafka", security=True) as broker:
        yield broker


def test_what_is_published_is_read(kafka_broker: KafkaBroker, topic: str) -> None:
    """Records arrive in order."""
    publish(kafka_broker, topic, b"a", b"b", b"c")

    assert read(kafka_broker, topic, 3) == [(0, b"a"), (1, b"b"), (2, b"c")]


@pytest.mark.parametrize("end", [KafkaBroker.kill, KafkaBroker.stop], ids=["crash", "stop"])
def test_data_and_address_outlive_the_process(
    kafka_broker: KafkaBroker, topic: str, end: Callable[[KafkaBroker], None]
) -> None:
    """After SIGKILL or SIGTERM the same broker is back: same address, same records, and more."""
    before = kafka_broker.bootstrap
    publish(kafka_broker, topic, b"a")

    end(kafka_broker)
    assert not kafka_broker.is_running
    kafka_broker.start()
    publish(kafka_broker, topic, b"b")

    assert kafka_broker.bootstrap == before
    assert read(kafka_broker, topic, 2) == [(0, b"a"), (1, b"b")]


def test_a_topic_is_made_changed_and_unmade(kafka_broker: KafkaBroker, topic: str) -> None:
    """Each helper returns when what it asked for is so."""
    admin = kafka_broker.admin()
    publish(kafka_broker, topic, b"a", b"b")

    kafka_broker.delete_records(topic, before=1)
    assert read(kafka_broker, topic, 1) == [(1, b"b")]

    kafka_broker.add_partitions(topic, 3)
    assert len(admin.list_topics(timeout=5).topics[topic].partitions) == 3

    kafka_broker.delete_topic(topic)
    assert topic not in admin.list_topics(timeout=5).topics

    kafka_broker.create_topic(topic, partitions=2)
    publish(kafka_broker, topic, b"c")
    assert read(kafka_broker, topic, 1) == [(0, b"c")]


def test_a_running_broker_is_not_started_again(kafka_broker: KafkaBroker, topic: str) -> None:
    """A second start changes nothing."""
    publish(kafka_broker, topic, b"a")

    kafka_broker.start()

    assert read(kafka_broker, topic, 1) == [(0, b"a")]


def test_a_broker_leaves_nothing_behind(own_broker: KafkaBroker) -> None:
    """Destroyed, a broker has neither process nor directory."""
    own_broker.start()
    host, port = own_broker.bootstrap.split(":")

    own_broker.destroy()

    assert not own_broker.root.exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=1)


def test_a_lost_race_for_a_port_is_run_again(
    kafka_broker: KafkaBroker, own_broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port that another broker took first costs another try, and the two are not mixed up."""
    unlucky = [{"plain": int(kafka_broker.bootstrap.split(":")[1])}]
    choose = kafka._choose_ports
    monkeypatch.setattr(
        kafka, "_choose_ports", lambda names: choose(names) | (unlucky.pop() if unlucky else {})
    )

    own_broker.start()

    assert not unlucky
    assert own_broker.is_running
    assert own_broker.bootstrap != kafka_broker.bootstrap
    assert topic not in own_broker.admin().list_topics(timeout=5).topics


def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The error carries the end of the broker's log, and no process stays."""
    broker = KafkaBroker(tmp_path / "kafka", properties={"num.network.threads": "none"})

    with pytest.raises(BrokerError, match=r"num\.network\.threads"):
        broker.start()

    assert not broker.is_running


def test_a_missing_java_is_named_with_its_package(
    own_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody has to guess what to install to run the broker."""
    ensure_jars()
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokerError, match="java is missing: on Debian, apt-get install openjdk"):
        own_broker.start()


def test_a_missing_maven_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nobody has to guess what to install to get the jars, and no half of them is left."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(BrokerError, match="mvn is missing: on Debian, apt-get install maven"):
        ensure_jars(tmp_path / "jars")

    assert not (tmp_path / "jars").exists()


def test_foreign_files_are_not_taken_for_jars(tmp_path: Path) -> None:
    """A directory with something else in it is refused, and left as it is."""
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(BrokerError, match="holds other files"):
        ensure_jars(tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("who", "welcome"), [("client", True), ("stranger", False), ("expired", False)]
)
def test_only_good_certificates_are_let_in(
    secure_broker: KafkaBroker, who: str, *, welcome: bool
) -> None:
    """The listener mtls believes its own authority, and the calendar."""
    identity: Identity = getattr(secure_broker.certificates, who)

    assert welcome is is_let_in(
        secure_broker.address("mtls"),
        security_protocol="SSL",
        ssl_ca_location=str(secure_broker.certificates.ca),
        ssl_certificate_location=str(identity.certificate),
        ssl_key_location=str(identity.key),
    )


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize(
    ("listener", "protocol"), [("scram", "SASL_SSL"), ("sasl", "SASL_PLAINTEXT")]
)
def test_only_the_password_lets_in(
    secure_broker: KafkaBroker, listener: str, protocol: str, mechanism: str
) -> None:
    """The listeners scram and sasl know one user, by both digests."""
    let_in = partial(
        is_let_in,
        secure_broker.address(listener),
        security_protocol=protocol,
        ssl_ca_location=str(secure_broker.certificates.ca),
        sasl_mechanism=mechanism,
        sasl_username=USER,
    )

    assert let_in(sasl_password=PASSWORD)
    assert not let_in(sasl_password="wrong")
