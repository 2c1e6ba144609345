"""What tests of the whole engine work with."""

from __future__ import annotations

import pytest

from filesync import KafkaSettings, Settings
from support.simulation import TOPIC, Simulation


@pytest.fixture(name="host")
def _host() -> Simulation:
    """Return the host ns1 with one partition, before its first step."""
    host = Simulation(
        Settings(hostname="ns1", kafka=KafkaSettings(topic=TOPIC, files_dir="/files"))
    )
    host.partition()
    return host
