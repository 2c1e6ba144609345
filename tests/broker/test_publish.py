"""`filesync publish` as its own process, on a real broker: what it says became of files is true."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from attrs import frozen
from confluent_kafka import Consumer, Message
from confluent_kafka import TopicPartition as DriverPartition

from support.host import Host
from support.kafka import PASSWORD, KafkaBroker
from support.promises import is_promised
from support.resident import DRIVERS
from support.waiting import eventually

pytestmark = pytest.mark.kafka

#: Whoever sends with the one is read with the other.
_OTHER = dict(zip(DRIVERS, reversed(DRIVERS), strict=True))

_PACKAGES = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}

_MIB = 1024 * 1024

_CHUNK = 512 * 1024

#: A topic that takes only small records.
_NARROW = {"max.message.bytes": "100000"}

CONFIG = b"# \xc3\xa9t\xc3\xa9\nworkers: 2\nrpz: [block.rpz]\n"

#: Seconds within which a publish that needs no mending ends.
_PATIENCE = 60.0

_SENT, _UNSENT, _TRANSPORT, _STOPPED = 0, 1, 4, 5

Settings = Mapping[str, object]


class Publishing:
    """
    A `filesync publish` that runs, and what it has said.

    Args:
        folder: It writes its output there.
        words: Of the command line.
    """

    def __init__(self, folder: Path, words: Iterable[str]) -> None:
        number = uuid.uuid4().hex
        self._out = folder / f"{number}.out"
        self._err = folder / f"{number}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "filesync", "publish", *words],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        """What it printed."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it complained of."""
        return self._err.read_text()

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait(self, timeout: float = _PATIENCE) -> int:
        """Return its exit status."""
        return self.process.wait(timeout)

    def ended(self, status: int) -> bool:
        """Whether it ends with *status*, with all that it said if not."""
        found = self.wait()
        assert found == status, f"exit status {found}\n{self.out}\n{self.err}"
        return True

    def kill(self) -> None:
        """End it if it still runs."""
        if self.runs:
            self.process.kill()
        self.process.wait()


Publish = Callable[..., Publishing]


@pytest.fixture(name="driver", params=DRIVERS)
def _driver(request: pytest.FixtureRequest) -> str:
    """Return the driver that files are sent with, each in turn."""
    name: str = request.param
    for each, package in _PACKAGES.items():
        if not is_promised(each, package):
            pytest.skip(f"this environment does not promise {each}")
    return name


@pytest.fixture(name="publish")
def _publish(tmp_path: Path) -> Iterator[Publish]:
    """
    Return what starts `filesync publish`.

    Its arguments: the driver, an address, a topic, then the words of the
    command line, and *settings* besides those in the section ``kafka``.
    """
    folder = tmp_path / "publisher"
    folder.mkdir()
    started: list[Publishing] = []

    def publish(
        driver: str, address: str, topic: str, *words: str, settings: Settings | None = None
    ) -> Publishing:
        path = folder / f"{len(started)}.yaml"
        kafka = {
            "topic": topic,
            "server": address,
            "files-dir": "/nonexistent/filesync",  # Who sends needs none.
            **(settings or {}),
        }
        # JSON is YAML.
        path.write_text(
            json.dumps(
                {
                    "hostname": "sender",
                    "kafka": {"enable": True, **kafka},
                    "filesync": {"driver": driver},
                }
            )
        )
        started.append(Publishing(folder, ["-c", str(path), *words]))
        return started[-1]

    yield publish
    for each in started:
        each.kill()


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


def _new_topic(
    broker: KafkaBroker, partitions: int = 1, config: Mapping[str, str] | None = None
) -> str:
    """Return the name of a new topic, on a broker that runs."""
    broker.start()
    name = f"topic-{uuid.uuid4().hex}"
    broker.create_topic(name, partitions, config)
    return name


class Log:
    """
    What a topic holds, as a reader sees it that knows nothing of files.

    Args:
        broker: Has it.
        topic: Its name.
    """

    def __init__(self, broker: KafkaBroker, topic: str) -> None:
        self._broker = broker
        self._topic = topic

    def ends(self) -> dict[int, int]:
        """Return where each partition ends."""
        consumer = self._consumer()
        try:
            partitions = consumer.list_topics(self._topic, timeout=10).topics[self._topic]
            return {
                partition: consumer.get_watermark_offsets(
                    DriverPartition(self._topic, partition), timeout=10
                )[1]
                for partition in partitions.partitions
            }
        finally:
            consumer.close()

    def wait_for(self, records: int, publishing: Publishing) -> int:
        """Wait until there are so many in partition 0, while *publishing* runs."""
        consumer = self._consumer()
        source = DriverPartition(self._topic, 0)

        def enough() -> int:
            assert publishing.runs, f"it ended too early\n{publishing.out}\n{publishing.err}"
            end: int = consumer.get_watermark_offsets(source, timeout=10)[1]
            return end if end >= records else 0

        try:
            return eventually(enough, 30, what=f"{records} records in {self._topic}")
        finally:
            consumer.close()

    def records(self) -> list[Message]:
        """Return all that is there now."""
        ends = self.ends()
        total = sum(ends.values())
        consumer = self._consumer()
        found: list[Message] = []

        def all_read() -> bool:
            for message in consumer.consume(min(total, 1000), timeout=0.2):
                assert message.error() is None
                found.append(message)
            return len(found) >= total

        try:
            consumer.assign([DriverPartition(self._topic, partition, 0) for partition in ends])
            eventually(lambda: total == 0 or all_read(), 30, what=f"{total} records")
        finally:
            consumer.close()
        return found

    def _consumer(self) -> Consumer:
        return Consumer({"bootstrap.servers": self._broker.bootstrap, "group.id": "unused"})


@frozen
class Tag:
    """What a record says that it carries."""

    hostname: str
    name: str
    transfer: str
    index: int

    @classmethod
    def of(cls, message: Message) -> Tag:
        """Read it from the headers."""
        headers = dict(message.headers() or [])
        texts = {
            name: value.decode() for name, value in headers.items() if isinstance(value, bytes)
        }
        return cls(
            texts["hostname"],
            texts["file-name"],
            texts["transfer-id"],
            int(texts.get("chunk-index", "1")),
        )


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
    topic = _new_topic(kafka_broker, partitions)
    chunks = 120 if partitions > 1 else 10
    block, data = _random_file(tmp_path, chunks * _CHUNK)
    empty, configuration = tmp_path / "empty.rpz", tmp_path / "local.yaml"
    empty.write_bytes(b"")
    configuration.write_bytes(CONFIG)
    host = receive(_OTHER[driver], topic, "2s")
    files = [f"resolver.yaml={configuration}", str(block), str(empty)]
    sending = publish(driver, kafka_broker.bootstrap, topic, *files, "--to", "ns1", "ns2")

    assert sending.ended(_SENT)
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
    topic = _new_topic(kafka_broker, 7)
    names = [*(f"{number}.rpz" for number in range(8)), "\u00e9t\u00e9.rpz", "sub/x.yaml"]
    path = tmp_path / "x"
    path.write_bytes(b"a: 1\n")
    words = [*(f"{name}={path}" for name in names), "--to", "ns1"]
    for each in [publish(driver, kafka_broker.bootstrap, topic, *words) for driver in DRIVERS]:
        assert each.ended(_SENT)

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
    publish: Publish,
    receive: Receive,
) -> None:
    """In the middle of a file: all of it is sent, every chunk once, and it arrives."""
    path, data = _random_file(tmp_path, 200 * _MIB)
    log = Log(kafka_broker, topic)
    sending = publish(driver, kafka_broker.bootstrap, topic, str(path), "--to", "ns1")
    log.wait_for(20, sending)
    kafka_broker.kill()
    assert sending.runs, "killed too late"
    kafka_broker.start()

    assert sending.ended(_SENT)
    assert "block.rpz to ns1: sent" in sending.out
    tags = [Tag.of(each) for each in log.records()]
    assert len({tag.transfer for tag in tags}) == 1
    assert [tag.index for tag in tags] == list(range(1, 401)), "each once, and in order"
    host = receive(_OTHER[driver], topic)
    host.wait_for("committed", file="block.rpz")
    assert host.stop() == 0
    assert host.holds("block.rpz", data)


def test_what_is_stopped_halfway_never_becomes_a_file(
    tmp_path: Path,
    kafka_broker: KafkaBroker,
    topic: str,
    driver: str,
    publish: Publish,
    receive: Receive,
) -> None:
    """SIGINT ends it soon, with a status of its own; the same file can be sent again."""
    path, data = _random_file(tmp_path, 100 * _MIB)
    host = receive(_OTHER[driver], topic)
    words = (driver, kafka_broker.bootstrap, topic, str(path), "--to", "ns1")
    log = Log(kafka_broker, topic)
    sending = publish(*words)
    log.wait_for(5, sending)
    sending.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert sending.ended(_STOPPED)
    assert time.monotonic() - began < 5
    assert "block.rpz to ns1: cancelled" in sending.err
    assert "Traceback" not in sending.err
    stopped = {Tag.of(each).transfer for each in log.records()}
    assert len(stopped) == 1
    assert not (host.files_dir / "block.rpz").exists()

    assert publish(*words).ended(_SENT)
    host.wait_for("committed", file="block.rpz")
    assert host.stop() == 0
    assert len(host.events("committed")) == 1
    assert len({Tag.of(each).transfer for each in log.records()} - stopped) == 1
    assert host.holds("block.rpz", data)


def test_a_file_that_is_appended_to_meanwhile_never_arrives(
    tmp_path: Path,
    kafka_broker: KafkaBroker,
    topic: str,
    driver: str,
    publish: Publish,
    receive: Receive,
) -> None:
    """It fails, and says how to replace files; no receiver has half of two versions."""
    path, _ = _random_file(tmp_path, 100 * _MIB)
    host = receive(_OTHER[driver], topic)
    sending = publish(driver, kafka_broker.bootstrap, topic, str(path), "--to", "ns1")
    Log(kafka_broker, topic).wait_for(1, sending)
    with path.open("ab") as file:
        file.write(b"more\n")

    assert sending.ended(_UNSENT)
    assert "block.rpz to ns1: failed: chunk 200 of 200: the file was changed" in sending.err
    other = tmp_path / "other.rpz"
    other.write_bytes(b"after it\n")
    assert publish(driver, kafka_broker.bootstrap, topic, str(other), "--to", "ns1").ended(_SENT)
    host.wait_for("committed", file="other.rpz")
    assert host.stop() == 0
    assert [each["file"] for each in host.events("committed")] == ["other.rpz"]
    assert not (host.files_dir / "block.rpz").exists()


def test_a_configuration_is_withheld_when_its_data_was_not_sent(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str, publish: Publish
) -> None:
    """A data file that the broker does not take: its host gets no configuration that names it."""
    topic = _new_topic(kafka_broker, config=_NARROW)
    path, _ = _random_file(tmp_path, _MIB)
    configuration = tmp_path / "resolver.yaml"
    configuration.write_bytes(CONFIG)
    words = (str(configuration), str(path), "--to", "ns1")
    sending = publish(driver, kafka_broker.bootstrap, topic, *words)
    assert sending.ended(_UNSENT)
    assert "resolver.yaml to ns1: withheld: block.rpz was not sent" in sending.err
    assert "2 of 2 were not sent" in sending.err
    assert Log(kafka_broker, topic).records() == []


# What the broker does not take


def test_a_chunk_that_is_too_large_is_told_and_smaller_ones_go(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str, publish: Publish
) -> None:
    """The broker bounds records, and batches of them: it is said what to do, and that helps."""
    topic = _new_topic(kafka_broker, config=_NARROW)
    path, _ = _random_file(tmp_path, 2 * _MIB)
    words = (driver, kafka_broker.bootstrap, topic, str(path), "--to", "ns1")
    sending = publish(*words)
    assert sending.ended(_UNSENT)
    assert "block.rpz to ns1: failed: chunk 1 of 4: " in sending.err
    assert "send smaller chunks, or raise max.message.bytes" in sending.err
    assert Log(kafka_broker, topic).records() == []

    assert publish(*words, "--chunk-bytes", "30000").ended(_SENT)
    tags = [Tag.of(each) for each in Log(kafka_broker, topic).records()]
    assert [tag.index for tag in tags] == list(range(1, 71))


# Who may send, and where to


@pytest.fixture(name="strict_broker", scope="module")
def _strict_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One that lets in whom it knows; and makes every topic that somebody seems to want."""
    broker = KafkaBroker(
        tmp_path_factory.mktemp("strict") / "kafka",
        security=True,
        properties={"auto.create.topics.enable": "true"},
    )
    broker.start()
    yield broker
    broker.destroy()


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> str:
    """Return the path of a file."""
    path = tmp_path / "small.rpz"
    path.write_bytes(b"x" * 1000)
    return str(path)


class Login:
    """A user of its own, with a password, and the settings to come in with them."""

    def __init__(self, broker: KafkaBroker, folder: Path) -> None:
        self.user = f"user-{uuid.uuid4().hex}"
        self.password = folder / "password"
        self.password.write_text(f"{PASSWORD}\n")
        self.address = broker.address("scram")
        self.settings: Settings = {
            "security-protocol": "sasl_ssl",
            "ca-file": str(broker.certificates.ca),
            "sasl-mechanism": "SCRAM-SHA-512",
            "sasl-username": self.user,
            "sasl-password-file": str(self.password),
        }
        broker.set_password(self.user, PASSWORD)


@pytest.fixture(name="login")
def _login(strict_broker: KafkaBroker, tmp_path: Path) -> Login:
    return Login(strict_broker, tmp_path)


def _topics(broker: KafkaBroker) -> set[str]:
    return set(broker.admin().list_topics(timeout=10).topics)


def test_a_topic_that_is_missing_is_not_created(
    strict_broker: KafkaBroker, driver: str, publish: Publish, small: str
) -> None:
    """It ends in time and names the topic, on a broker that creates what it is asked for."""
    topic = f"topic-{uuid.uuid4().hex}"
    began = time.monotonic()
    words = (driver, strict_broker.bootstrap, topic, small, "--to", "ns1", "--timeout", "2")
    sending = publish(*words)
    assert sending.ended(_TRANSPORT)
    assert 2 <= time.monotonic() - began < 12
    assert f"nothing was published: there is no topic {topic!r}" in sending.err
    assert topic not in _topics(strict_broker)


@pytest.mark.parametrize(
    ("rights", "elsewhere", "status"),
    [
        pytest.param((), (), _TRANSPORT, id="nothing"),
        pytest.param(("DESCRIBE",), (), _UNSENT, id="only-describe"),
        pytest.param(("DESCRIBE",), ("WRITE",), _UNSENT, id="write-elsewhere"),
        pytest.param(("WRITE",), (), _SENT, id="write"),
    ],
)
def test_who_may_not_write_is_told_so(
    strict_broker: KafkaBroker,
    driver: str,
    publish: Publish,
    login: Login,
    small: str,
    *,
    rights: tuple[str, ...],
    elsewhere: tuple[str, ...],
    status: int,
) -> None:
    """In whatever way the right is missing; and whoever has it needs no other."""
    topic, other = _new_topic(strict_broker), _new_topic(strict_broker)
    for name, granted in ((topic, rights), (other, elsewhere)):
        for operation in granted:
            strict_broker.grant(login.user, operation, topic=name)
    words = (driver, login.address, topic, small, "--to", "ns1", "--timeout", "3")
    sending = publish(*words, settings=login.settings)
    assert sending.ended(status)
    if status != _SENT:
        assert "grant us WRITE" in sending.err
        assert topic in sending.err
    assert len(Log(strict_broker, topic).records()) == (status == _SENT)


def test_a_wrong_password_is_told(
    strict_broker: KafkaBroker, driver: str, publish: Publish, login: Login, small: str
) -> None:
    """Which setting to look at; and not the password."""
    topic = _new_topic(strict_broker)
    login.password.write_text("tot4lly-wr0ng\n")
    words = (driver, login.address, topic, small, "--to", "ns1", "--timeout", "6")
    sending = publish(*words, settings=login.settings)
    assert sending.ended(_TRANSPORT)
    assert "sasl-password-file" in sending.err
    assert "wr0ng" not in sending.err
