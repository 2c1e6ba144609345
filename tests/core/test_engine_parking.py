"""Configurations that name files which are still to come, in the engine as a whole."""

from __future__ import annotations

from filesync import KafkaSettings, Limits, Settings
from filesync.daemon import ActionKind
from support.pieces import P0, P1
from support.simulation import TOPIC, Simulation

NEEDY = b"needs b.rpz"


def _host(*, finish_when_caught_up: bool = False) -> Simulation:
    """Return a host with two partitions, and room for one unfinished commit."""
    host = Simulation(
        Settings(
            hostname="ns1",
            kafka=KafkaSettings(topic=TOPIC, files_dir="/files"),
            limits=Limits(unfinished_commits=1),
        ),
        finish_when_caught_up=finish_when_caught_up,
    )
    host.partition(0)
    host.partition(1)
    return host


def test_a_configuration_is_served_when_what_it_names_comes() -> None:
    """Partitions keep no order: the configuration may be read first. One reload serves both."""
    host = _host()
    host.run()
    host.send_file("c.yaml", [NEEDY], partition=1)
    host.run()
    assert (host.disk, host.endings()) == ({}, [])
    assert host.engine.stats().parked_commits == 1
    host.send_file("b.rpz", [b"bee"], partition=0)
    host.run(20)
    assert host.disk == {"b.rpz": b"bee", "c.yaml": NEEDY}
    assert host.endings() == ["committed", "committed"]
    assert [job.action for job in host.actions] == [ActionKind.RELOAD]
    assert host.engine.stats().parked_commits == 0


def test_what_is_parked_does_not_stop_the_reading() -> None:
    """It waits for what is still to be read, whatever the bound of unfinished commits."""
    host = _host()
    host.run()
    host.send_file("c.yaml", [NEEDY], partition=1)
    host.run()
    assert host.polling


def test_what_never_comes_is_told_and_the_position_goes_on() -> None:
    """After a minute it is invalid; the old file stays, and nothing pins its partition."""
    host = _host()
    host.run()
    host.send_file("c.yaml", [b"fine"], partition=1)
    host.run(20)
    host.send_file("c.yaml", [NEEDY], partition=1)
    host.run(59)
    assert host.engine.stats().safe_positions[P1] == 1
    host.run(2)
    assert host.endings() == ["committed", "invalid"]
    assert host.disk == {"c.yaml": b"fine"}
    assert host.engine.stats().safe_positions[P1] == 2


def test_a_crash_forgets_no_parked_configuration() -> None:
    """Its records are read again, though later ones of other partitions are not."""
    host = _host()
    host.run()
    host.send_file("c.yaml", [NEEDY], partition=1)
    host.send_file("a.rpz", [b"ay"], partition=0)
    host.run(20)
    assert host.ledger().positions == {P0: 1, P1: 0}
    host.crash()
    host.run(5)
    assert host.engine.stats().parked_commits == 1
    host.send_file("b.rpz", [b"bee"], partition=0)
    host.run(20)
    assert host.served == {"a.rpz": b"ay", "b.rpz": b"bee", "c.yaml": NEEDY}


def test_a_host_that_is_new_finds_everything_in_its_order() -> None:
    """While it catches up data is first: nothing needs to be parked."""
    host = _host()
    host.send_file("c.yaml", [NEEDY], partition=1)
    host.send_file("b.rpz", [b"bee"], partition=0)
    host.run(20)
    assert host.served == {"b.rpz": b"bee", "c.yaml": NEEDY}
    assert not [outcome for outcome in host.outcomes if outcome.label == "commit_parked"]
    assert len(host.actions) == 1


def test_it_does_not_end_by_itself_before_the_patience_does() -> None:
    """With finish_when_caught_up the parked one is waited for."""
    host = _host(finish_when_caught_up=True)
    host.send_file("c.yaml", [NEEDY], partition=1)
    host.run(50)
    assert not host.finished
    host.run(20)
    assert host.finished
    assert host.endings() == ["invalid"]
