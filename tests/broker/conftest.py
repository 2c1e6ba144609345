"""What the tests with a real broker share."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

import support
from filesync import Start
from filesync.transport import Transport
from support.host import Host
from support.kafka import KafkaBroker
from support.log_sender import LogSender
from support.promises import is_promised
from support.publishing import Publish, Publishing, Settings
from support.real_log import RealLog
from support.resident import Resident, open_on
from support.secured import Client, create_topic

#: By its name in the settings, a driver's package.
_PACKAGES = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}

Send = Callable[..., None]

MakeResident = Callable[..., Resident]

Options = Mapping[str, Mapping[str, object]]


@pytest.fixture(name="driver", params=_PACKAGES)
def _driver(request: pytest.FixtureRequest) -> str:
    """Return the driver that filesync reads with: each in turn, unless a test names some."""
    name: str = request.param
    if not is_promised(name, _PACKAGES[name]):
        pytest.skip(f"this environment does not promise {name}")
    return name


@pytest.fixture(name="quiet")
def _quiet() -> str:
    """Return how long the host waits after a change: as long as in production."""
    return "5s"


@pytest.fixture(name="options")
def _options() -> Options:
    """Return what the drivers are told besides, by their names: nothing, as in production."""
    return {}


@pytest.fixture(name="host")
def _host(
    tmp_path: Path,
    kafka_broker: KafkaBroker,
    topic: str,
    driver: str,
    quiet: str,
    options: Options,
) -> Iterator[Host]:
    """Return a host on a topic of its own; it is not started yet."""
    host = Host(
        tmp_path / "host",
        kafka_broker.bootstrap,
        topic,
        driver=driver,
        quiet=quiet,
        options=options.get(driver),
    )
    yield host
    host.close()


@pytest.fixture(name="send")
def _send(tmp_path: Path, kafka_broker: KafkaBroker, topic: str) -> Send:
    """Return a function that sends files by the independent script."""
    script = Path(support.__file__).with_name("sender.py")
    folder = tmp_path / "sent"
    folder.mkdir()

    def send(files: dict[str, bytes], *options: str, hostname: str = "ns1") -> None:
        pairs = []
        for number, (name, data) in enumerate(files.items()):
            path = folder / str(number)
            path.write_bytes(data)
            pairs.append(f"{name}={path}")
        command = [sys.executable, str(script), kafka_broker.bootstrap, topic, hostname]
        subprocess.run([*command, *pairs, *options], check=True, timeout=120)

    return send


@pytest.fixture(name="log")
def _log(kafka_broker: KafkaBroker) -> RealLog:
    """Return the log, on a broker that runs."""
    kafka_broker.start()
    return RealLog(kafka_broker, "filesync-ns1")


@pytest.fixture(name="sender")
def _sender(log: RealLog, topic: str) -> LogSender:
    """Return what sends files to a topic of its own."""
    return LogSender(log, topic)


@pytest.fixture(name="make")
def _make(
    tmp_path: Path, kafka_broker: KafkaBroker, topic: str, driver: str
) -> Iterator[MakeResident]:
    """Return a function that makes a receiver, with a files-dir of its own, not yet started."""
    made: list[Resident] = []

    def make(*, name: str = "files", topic: str = topic, start: Start = Start.EARLIEST) -> Resident:
        opener = partial(open_on, driver)
        address = kafka_broker.bootstrap
        made.append(Resident(tmp_path / name, topic, opener, address=address, start=start))
        return made[-1]

    yield make
    for resident in made:
        resident.stop()


@pytest.fixture(name="resident")
def _resident(make: MakeResident) -> Resident:
    """Return a receiver, not yet started."""
    return make()


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


@pytest.fixture(name="secured_broker", scope="module")
def _secured_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One with TLS and SASL for all tests of a module, which may restart it."""
    with KafkaBroker(tmp_path_factory.mktemp("security") / "kafka", security=True) as broker:
        yield broker


@pytest.fixture(name="secured_topic")
def _secured_topic(secured_broker: KafkaBroker) -> str:
    """Return a new topic with one record, which our users may read."""
    return create_topic(secured_broker)


@pytest.fixture(name="factory", params=["confluent-kafka", "kafka-python"])
def _factory(request: pytest.FixtureRequest) -> Callable[..., Transport]:
    """Return what makes one driver's transport, as it is in production."""
    if request.param == "confluent-kafka":
        if not is_promised("confluent-kafka", "confluent_kafka"):
            pytest.skip("this environment does not promise confluent-kafka")
        from filesync_confluent_kafka import ConfluentKafkaTransport  # noqa: PLC0415

        return ConfluentKafkaTransport
    if not is_promised("kafka-python", "kafka"):
        pytest.skip("this environment does not promise kafka-python")
    from filesync_kafka_python import KafkaPythonTransport  # noqa: PLC0415

    return KafkaPythonTransport


@pytest.fixture(name="client")
def _client(
    secured_broker: KafkaBroker,
    secured_topic: str,
    tmp_path: Path,
    factory: Callable[..., Transport],
) -> Iterator[Client]:
    """Return a client that has a topic of its own; it is not started yet."""
    with closing(Client(secured_broker, secured_topic, tmp_path, factory)) as client:
        yield client
    # kafka-python leaves sockets to it whose handshake failed, which is complained of in here.
    gc.collect()
