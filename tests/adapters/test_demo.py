"""The demo, as a newcomer runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

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
