"""The engine as a whole, begun again: after an end, a crash, a loss, on another log."""

from __future__ import annotations

from filesync import FaultSeen, TopicPartition
from support.simulation import TOPIC, Simulation

P0 = TopicPartition(TOPIC, 0)


def test_a_restart_reads_on_where_it_stopped(host: Simulation) -> None:
    """After an orderly end nothing is read or applied twice."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run(60)
    host.stop()
    host.run()
    assert host.finished
    host.crash()
    host.run()
    assert host.reading == {P0: 1}
    assert host.endings() == ["committed"]
    assert host.engine.stats().counters["records"] == 0


def test_a_crash_in_the_middle_of_a_transfer_loses_nothing(host: Simulation) -> None:
    """An open transfer pins the position: its chunks are read again (S5)."""
    host.run()
    host.send_file("a.rpz", [b"one", b"two", b"three"], order=[0, 1])
    host.send_file("b.rpz", [b"bee"])
    host.run(60)
    assert host.disk == {"b.rpz": b"bee"}
    host.crash()
    host.send_file("a.rpz", [b"one", b"two", b"three"], order=[2])
    host.run(60)
    assert host.disk == {"b.rpz": b"bee", "a.rpz": b"onetwothree"}
    assert host.endings("b.rpz") == ["committed", "unchanged"]
    assert len(host.actions) == 2, "b.rpz needs no second renew"


def test_a_need_survives_a_crash_before_its_action(host: Simulation) -> None:
    """Committed, then killed: the action runs after the restart though nothing arrives (F2)."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run()
    host.crash()
    host.run(60)
    assert len(host.actions) == 1
    assert host.served == host.disk


def test_a_need_is_served_even_when_the_broker_is_away(host: Simulation) -> None:
    """The recovered need does not wait for Kafka."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run()
    host.log.clear()
    host.crash()
    host.run(60)
    assert len(host.actions) == 1


def test_a_wiped_directory_gets_every_file_again(host: Simulation) -> None:
    """No journal: the log is read from its start."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run(60)
    host.journal.clear()
    host.disk.clear()
    host.crash()
    host.run(60)
    assert host.disk == {"a.rpz": b"one"}
    assert host.served == host.disk


def test_another_log_of_the_same_name_is_read_from_its_start(host: Simulation) -> None:
    """A topic that was deleted and created again shares nothing with the old one."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.send_file("a.rpz", [b"two"])
    host.run(60)
    host.log[P0].clear()
    host.topic_id = "topic-2"
    host.send_file("a.rpz", [b"three"])
    host.send_file("b.rpz", [b"bee"])
    host.crash()
    host.run(60)
    assert host.disk == {"a.rpz": b"three", "b.rpz": b"bee"}


def test_a_removed_head_is_told_and_the_rest_is_read(host: Simulation) -> None:
    """Retention removed records before they were read: reported, and reading goes on (S9)."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run(60)
    host.send_file("lost.rpz", [b"lost"])
    host.send_file("kept.rpz", [b"kept"])
    host.starts[P0] = 2
    del host.log[P0][:2]
    host.crash()
    host.run(60)
    assert host.disk == {"a.rpz": b"one", "kept.rpz": b"kept"}
    gaps = [o for o in host.outcomes if isinstance(o, FaultSeen) and o.label == "log_gap"]
    assert len(gaps) == 1
    assert "1 records" in str(gaps[0])


def test_a_tail_is_never_read_without_its_head_after_a_restart(host: Simulation) -> None:
    """An older pin lies inside a transfer that ended: it is read again from its head."""
    host.run()
    host.send_file("a.rpz", [b"A1", b"A2"], order=[0])
    host.send_file("b.rpz", [b"b", b"B"], order=[0])
    host.send_file("a.rpz", [b"A1", b"A2"], order=[1])
    host.run(60)
    host.crash()
    host.send_file("a.rpz", [b"N1", b"N2"])
    host.run(60)
    assert host.reading == {P0: 5}
    assert host.disk == {"a.rpz": b"N1N2"}


def test_a_cut_log_is_read_again_and_newer_files_win(host: Simulation) -> None:
    """A log that is shorter than the position is told, and its order is void."""
    host.run()
    for version in range(3):
        host.send_file("a.rpz", [b"%d" % version])
    host.run(60)
    host.log[P0].clear()
    host.send_file("a.rpz", [b"new"])
    host.crash()
    host.run(60)
    assert host.disk == {"a.rpz": b"new"}
    assert any(o.label == "log_truncated" for o in host.outcomes)
