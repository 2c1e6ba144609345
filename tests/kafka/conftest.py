"""What the tests with a real broker share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import support
from support.host import Host
from support.kafka import KafkaBroker

Send = Callable[..., None]


@pytest.fixture(name="host")
def _host(tmp_path: Path, kafka_broker: KafkaBroker, topic: str) -> Iterator[Host]:
    """Return a host on a topic of its own; it is not started yet."""
    host = Host(tmp_path / "host", kafka_broker.bootstrap, topic)
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
