"""What the engine makes of a log that starts anew, or has a hole, while it is at work."""

from __future__ import annotations

import pytest

from filesync import KafkaSettings, Settings, TopicPartition
from filesync.transport import Unreadable
from support.simulation import TOPIC, Simulation

P0 = TopicPartition(TOPIC, 0)


@pytest.fixture(name="host")
def _host() -> Simulation:
    host = Simulation(
        Settings(hostname="ns1", kafka=KafkaSettings(topic=TOPIC, files_dir="/files"))
    )
    host.partition()
    host.run()
    return host


def recreate_late_in_the_log(host: Simulation) -> None:
    """Start the commit of a.rpz, from offset 6; then the topic is another one."""
    for _ in range(6):
        host.send_file("other.rpz", [b"x"])
    host.send_file("a.rpz", [b"old"])
    host.poll()
    host.recreate()


def finish(host: Simulation) -> None:
    """End what is under way."""
    while host.jobs:
        host.finish()


def test_a_plan_of_the_old_log_hides_no_file_of_the_new_one(host: Simulation) -> None:
    """It ends after the topic was created again; the new log's offsets are smaller, but newer."""
    recreate_late_in_the_log(host)
    finish(host)
    assert host.disk["a.rpz"] == b"old"
    host.partition(1)
    host.run()
    host.send_file("a.rpz", [b"new"])
    host.run()
    assert host.disk["a.rpz"] == b"new"


def test_a_plan_of_the_old_log_ends_no_transfer_of_the_new_one(host: Simulation) -> None:
    """A transfer of the new log is open when it ends: it is no older one."""
    recreate_late_in_the_log(host)
    host.send_file("a.rpz", [b"ne", b"w"], order=[0])
    host.poll()
    finish(host)
    host.send_file("a.rpz", [b"ne", b"w"], order=[1])
    host.run()
    assert host.disk["a.rpz"] == b"new"


@pytest.mark.parametrize("most", [1, 500])
def test_an_unreadable_head_is_not_replaced_by_the_next_version_s(
    host: Simulation, most: int
) -> None:
    """The rest of A, then B with as many chunks, in one batch or one by one: never {B1, A2, A3}."""
    lost = host.send([], b"")  # Passed over here; the transport says it could not read it.
    host.faults.append(Unreadable(source=P0, offset=lost.offset, why="checksum"))
    host.send_file("a.rpz", [b"A1", b"A2", b"A3"], order=[1, 2])
    host.send_file("a.rpz", [b"B1", b"B2", b"B3"], order=[0])
    for _ in range(5):
        host.poll(most)
        finish(host)
    assert "a.rpz" not in host.disk
    host.send_file("a.rpz", [b"B1", b"B2", b"B3"], order=[1, 2])
    host.run()
    assert host.disk == {"a.rpz": b"B1B2B3"}
