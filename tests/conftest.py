"""What every test may ask for: a real broker, a topic of its own. What none may leave: a thread."""

from __future__ import annotations

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from support.kafka import KafkaBroker

# Started by a shell that runs it in the background, or by nohup, we would hand
# on to every program that some signals are ignored.
for _number, _default in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)

settings.register_profile("dev", deadline=None, print_blob=True, max_examples=50)
settings.register_profile(
    "ci", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "long",
    settings.get_profile("ci"),
    max_examples=int(os.environ.get("FILESYNC_EXAMPLES", "5000")),
    stateful_step_count=200,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if "CI" in os.environ else "dev"))


@pytest.fixture(scope="session", name="kafka_broker")
def _kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaBroker]:
    """One real broker for all tests, started when the first one asks for it."""
    # Not above: an environment without a driver runs the other tests.
    from support.kafka import BrokerError, KafkaBroker  # noqa: PLC0415

    try:
        with KafkaBroker(tmp_path_factory.mktemp("kafka") / "broker") as broker:
            yield broker
    except BrokerError as exc:
        pytest.fail(str(exc), pytrace=False)


@pytest.fixture(name="topic")
def _topic(kafka_broker: KafkaBroker) -> str:
    """Return the name of a new topic with one partition, on a broker that runs."""
    kafka_broker.start()  # The test before may have killed it.
    name = f"topic-{uuid.uuid4().hex}"
    kafka_broker.create_topic(name)
    return name


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Fail a test that leaves a thread of ours behind: it would keep a program from ending."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("filesync-") and not thread.daemon:
            thread.join(timeout=2)
            assert not thread.is_alive(), f"left behind: {thread.name}"
