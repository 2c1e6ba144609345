"""Telling offsets to a broker that is away must not cost the process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.promises import is_promised

pytestmark = pytest.mark.skipif(
    not is_promised("confluent-kafka", "confluent_kafka"),
    reason="this environment does not promise confluent-kafka",
)

#: librdkafka ends the process with an assertion, so that it takes a process to show.
_PROGRAM = """
import time
from filesync import KafkaSettings, Settings, TopicPartition
from filesync_confluent_kafka import _offsets
from filesync_confluent_kafka._config import admin_config, consumer_config
from support.embedded import EmbeddedLog

_offsets._TIMEOUT = 0.3
log = EmbeddedLog("mine")
log.create_topic("zones")
hasty = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 40}
settings = Settings(
    hostname="ns1.example",
    kafka=KafkaSettings(servers=(log.address,), options={"confluent-kafka": hasty}),
)
store = _offsets.OffsetStore(admin_config(consumer_config(settings)), "mine")
source = TopicPartition("zones", 0)
assert store.store({source: 1}).error is None
log.stop()
assert store.store({source: 2}).error
log.start()
deadline = time.monotonic() + 10
while store.store({source: 3}).error is not None:
    assert time.monotonic() < deadline
assert log.told(source) == 3
store.close()
assert store.store({source: 4}).error
print("alive")
"""


def test_a_broker_that_comes_back_after_the_time_out_ends_nothing() -> None:
    """The driver meets an answer to a question that it has forgotten."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr
