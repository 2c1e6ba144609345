"""What the tests with a real broker share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

import support
from support.host import Host
from support.kafka import KafkaBroker
from support.promises import is_promised

#: By its name in the settings, a driver's package.
_PACKAGES = {"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}

Send = Callable[..., None]

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
