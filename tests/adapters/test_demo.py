"""The demo, as a newcomer runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from filesync import KafkaSettings
from support.promises import is_promised

if not is_promised("confluent-kafka", "confluent_kafka"):
    pytest.skip("this environment does not promise confluent-kafka", allow_module_level=True)


@pytest.mark.parametrize("driver", ["confluent-kafka", "kafka-python"])
def test_the_demo_shows_what_it_says(driver: str) -> None:
    """With either driver: published out of order, refused, committed, one reload; status 0."""
    if not is_promised("kafka-python", "kafka") and driver == "kafka-python":
        pytest.skip("this environment does not promise kafka-python")
    done = subprocess.run(
        [sys.executable, "-m", "filesync", "demo", "--driver", driver],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    told = [line.strip() for line in done.stdout.splitlines()]
    assert "Its files-dir holds a resolver.yaml, with which the daemon runs." in told
    assert f"driver: {driver}" in told
    for said in (
        "-> block.rpz from resolver-files[1]@0: committed",
        "-> block.rpz on disk is byte for byte what it should be",
        "-> resolver.yaml.backup on disk is byte for byte what it should be",
        "-> the daemon's own log says: reload",
        "Done: every file is whole, was checked, and one reload covered them all.",
    ):
        assert said in told
    assert any("resolver.yaml: receivers would refuse it" in line for line in told)
    assert any("invalid: resolver.yaml, line 2" in line for line in told)


def test_a_driver_that_is_missing_is_told_first() -> None:
    """Status 2 and one line, before anything is shown."""
    code = "import sys; sys.modules['kafka'] = None; from filesync.__main__ import main; "
    code += "sys.exit(main(['demo', '--driver', 'kafka-python']))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(": pip install 'kafka-filesync[kafka-python]'\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_can_be_stopped(tmp_path: Path, number: signal.Signals) -> None:
    """One line, and the status of a program that a signal ended; it leaves nothing behind."""
    command = [sys.executable, "-m", "filesync", "demo"]
    pipe, environment = subprocess.PIPE, {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            while not process.stdout.readline().startswith("1. A block list"):
                assert process.poll() is None
            process.send_signal(number)
            _, told = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, told) == (128 + number, "filesync: stopped\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_broker_alone_can_be_used_until_a_signal(number: signal.Signals) -> None:
    """It prints nothing but its address; the topic of the default settings is there; status 0."""
    from confluent_kafka import Producer  # noqa: PLC0415 - the driver

    command = [sys.executable, "-m", "filesync", "demo", "--broker"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().strip()
            topics = Producer({"bootstrap.servers": address}).list_topics(timeout=30).topics
            process.send_signal(number)
            printed, told = process.communicate(timeout=30)
        finally:
            process.kill()
    assert list(topics) == [KafkaSettings().topic]
    assert (process.returncode, printed) == (0, "")
    assert "its address:" in told
