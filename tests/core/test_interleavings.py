"""What happens to the engine while a commit is under way, or because nothing was to be written."""

from __future__ import annotations

import pytest

from filesync import KafkaSettings, Settings, TopicPartition
from filesync._effects import CommitFile, SaveJournal
from filesync.transport import OutOfRange
from support.simulation import TOPIC, Simulation

P0 = TopicPartition(TOPIC, 0)


@pytest.fixture(name="host")
def _host() -> Simulation:
    """Return the host ns1, caught up with an empty log of one partition."""
    settings = Settings(hostname="ns1", kafka=KafkaSettings(topic=TOPIC, files_dir="/files"))
    host = Simulation(settings)
    host.partition()
    host.run()
    return host


def commit_late_in_the_log(host: Simulation) -> None:
    """Start the commit of a.rpz, from offset 5, and leave it under way."""
    for _ in range(5):
        host.send([], b"noise")
    host.send_file("a.rpz", [b"old"])
    host.poll()
    assert [type(job) for job in host.jobs] == [CommitFile]


def finish_commit_first(host: Simulation) -> None:
    """End the commit before the journal hears that the log is another one."""
    assert [type(job) for job in host.jobs] == [CommitFile, SaveJournal]
    host.finish(0)
    host.run()
    assert host.disk["a.rpz"] == b"old"


def test_a_commit_from_a_log_that_is_gone_is_older_than_the_new_log(host: Simulation) -> None:
    """The topic was created again while a commit was under way: what the new one says is newer."""
    commit_late_in_the_log(host)
    host.recreate()
    finish_commit_first(host)
    host.send_file("a.rpz", [b"new"])
    host.run(60)
    assert host.disk == {"a.rpz": b"new"}
    assert host.endings() == ["committed", "committed"]


def test_a_commit_from_a_log_that_was_cut_is_older_than_what_follows(host: Simulation) -> None:
    """The same for a log that lost its end, and with it the order that was known."""
    commit_late_in_the_log(host)
    host.log[P0].clear()
    host.reading.clear()
    host.faults.append(OutOfRange(source=P0, position=6, start=0, end=0))
    host.poll()
    finish_commit_first(host)
    host.send_file("a.rpz", [b"new"])
    host.run(60)
    assert host.disk == {"a.rpz": b"new"}
    assert host.endings() == ["committed", "committed"]


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_an_unchanged_version_is_newer_than_what_started_before_it(
    host: Simulation, *, restarted: bool
) -> None:
    """S15: the same bytes sent again are the newest version, though nothing was written."""
    host.send_file("a.rpz", [b"X"])
    host.run(60)
    host.send_file("a.rpz", [b"Y1", b"Y2"], order=[0])
    host.run()
    host.send_file("a.rpz", [b"X"])
    host.run(60)
    if restarted:
        host.crash()
        host.run(60)
    host.send_file("a.rpz", [b"Y1", b"Y2"], order=[1])
    host.run(60)
    assert host.disk == {"a.rpz": b"X"}


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
def test_an_unchanged_version_keeps_its_generation(host: Simulation, *, restarted: bool) -> None:
    """What was sent again with a larger generation is not replaced by one in between."""
    for generation, data in ((1, b"X"), (5, b"X"), (3, b"Y")):
        host.send_file("a.rpz", [data], extra=[("generation", b"%d" % generation)])
        host.run(60)
        if restarted:
            host.crash()
            host.run(60)
    assert host.disk == {"a.rpz": b"X"}
    assert host.endings() == ["committed", "unchanged", "superseded"]
