"""The engine as a whole, in a simulated world."""

from __future__ import annotations

import pytest

from filesync import (
    ActionEnded,
    CaughtUp,
    Ending,
    KafkaSettings,
    Limits,
    RecordRefused,
    Settings,
    SpoolRetried,
    Start,
    TopicPartition,
)
from filesync._effects import (
    ActionFinished,
    AppendChunk,
    AppendFailed,
    CommitFile,
    HealthSeen,
    SaveJournal,
    Woke,
)
from filesync._model import TransferKey
from filesync.daemon import ActionKind, Misconfigured, Refused, Unknown
from filesync.exceptions import InvalidTransitionError
from filesync.transport import Health, PartitionLost
from support.simulation import TOPIC, Simulation

P0 = TopicPartition(TOPIC, 0)


def settings(**changes: object) -> Settings:
    """Return settings for the host ns1; *changes* go to the limits or to kafka."""
    limits = Limits(**{key: value for key, value in changes.items() if hasattr(Limits(), key)})  # type: ignore[arg-type]
    kafka = {key: value for key, value in changes.items() if not hasattr(limits, key)}
    return Settings(
        hostname="ns1",
        kafka=KafkaSettings(topic=TOPIC, files_dir="/files", **kafka),  # type: ignore[arg-type]
        limits=limits,
    )


def test_a_whole_file_becomes_visible_and_is_renewed_once(host: Simulation) -> None:
    """A record without chunk headers is a file; five quiet seconds later it is renewed."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run()
    assert host.disk == {"a.rpz": b"one"}
    assert not host.actions
    host.run(4.9)
    assert not host.actions
    host.run(0.2)
    assert [action.action for action in host.actions] == [ActionKind.RENEW]
    assert host.served == host.disk
    host.run(1000)
    assert len(host.actions) == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_chunks_in_any_order_become_the_file(host: Simulation, order: tuple[int, ...]) -> None:
    """Arrival order does not matter."""
    host.run()
    host.send_file("a.rpz", [b"one", b"two", b"three"], order=order)
    host.run()
    assert host.disk == {"a.rpz": b"onetwothree"}
    assert host.endings() == ["committed"]


def test_a_configuration_wants_a_reload_that_covers_the_data(host: Simulation) -> None:
    """Data and configuration together: one reload, no renew."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.send_file("c.yaml", [b"x: 1"])
    host.run(60)
    assert [action.action for action in host.actions] == [ActionKind.RELOAD]
    assert {file.name for file in host.actions[0].files} == {"a.rpz", "c.yaml"}


def test_records_for_others_are_counted_and_passed(host: Simulation) -> None:
    """A record for another host moves the position and nothing else."""
    host.send_file("a.rpz", [b"one"], host=b"ns2")
    host.run()
    assert host.disk == {}
    assert host.engine.stats().counters["passed_over"] == 1
    assert host.engine.stats().positions == {P0: 1}


def test_a_bad_record_changes_nothing_for_the_others(host: Simulation) -> None:
    """A malformed record is an outcome with a reason; the next one is processed."""
    host.send([("hostname", b"ns1")], b"x")
    host.send_file("a.rpz", [b"one"])
    host.run()
    assert host.disk == {"a.rpz": b"one"}
    refused = [outcome for outcome in host.outcomes if isinstance(outcome, RecordRefused)]
    assert [(str(r.source), r.offset, r.label) for r in refused] == [("files[0]", 0, "malformed")]
    assert "files-name" in refused[0].detail


def test_catching_up_shows_only_the_newest_version(host: Simulation) -> None:
    """What was in the log at start becomes visible once, data first, with one reload (S10)."""
    host.send_file("c.yaml", [b"v: 1"])
    for version in range(50):
        host.send_file("a.rpz", [b"%d" % version, b"."])
    host.send_file("c.yaml", [b"v: 2"])
    for _ in range(200):
        host.poll(1)
        while host.jobs:
            host.finish()
    host.run(60)
    assert host.versions_seen == [("a.rpz", b"49."), ("c.yaml", b"v: 2")]
    assert [action.action for action in host.actions] == [ActionKind.RELOAD]
    assert sum(isinstance(outcome, CaughtUp) for outcome in host.outcomes) == 1


def test_start_latest_leaves_the_past_alone() -> None:
    """With start: latest a new host reads what comes, and later partitions from their start."""
    host = Simulation(settings(start=Start.LATEST))
    host.partition()
    host.send_file("old.rpz", [b"old"])
    host.run()
    host.send_file("new.rpz", [b"new"])
    host.partition(1)
    host.send_file("other.rpz", [b"other"], partition=1)
    host.run()
    assert host.disk == {"new.rpz": b"new", "other.rpz": b"other"}


def test_a_headless_tail_is_never_joined_by_the_next_head(host: Simulation) -> None:
    """S9: the first chunk is gone, the tail is there, a new version follows: only that one."""
    host.starts[P0] = 7
    host.send_file("a.rpz", [b"A1", b"A2", b"A3"], order=[1, 2])
    host.send_file("a.rpz", [b"B1", b"B2", b"B3"])
    host.send_file("b.rpz", [b"1", b"2", b"3"], order=[2, 0, 1])
    host.send_file("a.rpz", [b"C1", b"C2", b"C3"], order=[2, 1, 0])
    host.run(60)
    assert host.disk == {"a.rpz": b"C1C2C3"}
    assert sorted(host.endings("a.rpz")) == ["committed", "head_missing", "superseded"]
    assert host.endings("b.rpz") == ["head_missing"], "refused rather than guessed"


def test_an_older_transfer_never_replaces_a_newer_file(host: Simulation) -> None:
    """A transfer that started earlier and ends later is superseded (S15)."""
    host.run()
    host.send_file("a.rpz", [b"old", b"OLD"], order=[0])
    host.send_file("a.rpz", [b"new"])
    host.send_file("a.rpz", [b"old", b"OLD"], order=[1])
    host.run(60)
    assert host.disk == {"a.rpz": b"new"}
    assert sorted(host.endings()) == ["committed", "superseded"]


def test_a_started_again_transfer_is_never_mixed(host: Simulation) -> None:
    """S1: the sender restarts with new content; the old chunks reach nothing."""
    host.run()
    host.send_file("a.rpz", [b"A1", b"A2", b"A3"], order=[0, 1])
    host.send_file("a.rpz", [b"B1", b"B2", b"B3"])
    host.run(60)
    assert host.disk == {"a.rpz": b"B1B2B3"}
    assert sorted(host.endings()) == ["committed", "superseded"]
    assert host.engine.stats().safe_positions == {P0: 5}


def test_a_configuration_waits_for_the_data_before_it(host: Simulation) -> None:
    """Data first: the configuration's commit starts when the data's has ended."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.send_file("c.yaml", [b"x: 1"])
    host.poll()
    plans = [job.plan.target.name for job in host.jobs if isinstance(job, CommitFile)]
    assert plans == ["a.rpz"]
    host.finish(0)
    plans = [job.plan.target.name for job in host.jobs if isinstance(job, CommitFile)]
    assert plans == ["c.yaml"]


def test_a_failed_commit_is_tried_again(host: Simulation) -> None:
    """What cannot be put in place now is put in place later, and pins the position till then."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.poll()
    host.finish(0, fail="read-only file system")
    assert host.engine.stats().safe_positions == {P0: 0}
    host.run(2)
    assert host.disk == {"a.rpz": b"one"}
    assert host.engine.stats().safe_positions == {P0: 1}


def test_what_is_visible_is_recorded_whatever_comes_after_it(host: Simulation) -> None:
    """The journal failed after the rename, and a newer version is refused: the first is served."""
    host.run()
    host.send_file("c.yaml", [b"v: 1"])
    host.poll()
    host.send_file("c.yaml", [b"v: 2"])
    host.poll()
    host.finish(0, torn=True)
    assert host.disk == {"c.yaml": b"v: 1"}
    host.advance(1)
    host.finish(0)
    host.finish(
        next(i for i, job in enumerate(host.jobs) if isinstance(job, CommitFile)),
        refuse=Ending.INVALID,
    )
    host.run(60)
    assert host.endings() == ["committed", "invalid"]
    assert host.served == {"c.yaml": b"v: 1"}
    assert host.engine.stats().safe_positions == {P0: 2}


def test_a_full_disk_stops_reading_and_loses_nothing(host: Simulation) -> None:
    """While chunks cannot be stored nothing is polled; then everything goes on by itself."""
    host.run()
    host.disk_full = True
    host.send_file("a.rpz", [b"one", b"two"])
    host.send_file("b.rpz", [b"bee"])
    host.run(30)
    assert host.disk == {}
    assert not host.polling
    assert any(isinstance(o, SpoolRetried) for o in host.outcomes)
    host.disk_full = False
    host.run(120)
    assert host.disk == {"a.rpz": b"onetwo", "b.rpz": b"bee"}
    assert host.polling


def test_polling_stops_at_the_bound_of_unfinished_commits() -> None:
    """Backpressure: enough is under way."""
    host = Simulation(settings(unfinished_commits=2))
    host.partition()
    host.run()
    for number in range(3):
        host.send_file(f"{number}.rpz", [b"x"])
    host.poll()
    assert not host.polling
    host.run()
    assert host.polling
    assert len(host.disk) == 3


def test_a_refused_action_blocks_and_a_passing_failure_is_repeated(host: Simulation) -> None:
    """Unknown is tried again; refused twice waits for a change."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run()
    host.advance(5)
    host.finish_action(Unknown("timed out"))
    host.advance(2)
    host.finish_action(Refused("syntax error"))
    host.advance(4)
    host.finish_action(Refused("syntax error"))
    assert host.engine.stats().schedule == "blocked"
    ended = [outcome for outcome in host.outcomes if isinstance(outcome, ActionEnded)]
    assert [outcome.retry_in for outcome in ended] == [2.0, 4.0, None]
    assert host.engine.stats().unserved == ("a.rpz",)
    host.send_file("a.rpz", [b"two"])
    host.run(60)
    assert host.engine.stats().unserved == ()


def test_it_ends_by_itself_when_caught_up() -> None:
    """With finish_when_caught_up the end comes after the action."""
    host = Simulation(settings(), finish_when_caught_up=True)
    host.send_file("a.rpz", [b"one"])
    host.run(60)
    assert host.finished
    assert host.served == {"a.rpz": b"one"}


def test_a_stop_waits_for_the_step_in_hand_and_writes_positions(host: Simulation) -> None:
    """The commit under way is finished, the positions are saved, then it ends."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.poll()
    host.stop()
    assert not host.finished
    assert not host.polling
    host.finish(0)
    assert [type(job) for job in host.jobs] == [SaveJournal]
    host.finish(0)
    assert host.finished
    assert host.ledger().positions == {P0: 1}


def test_a_stop_does_not_wait_for_ever(host: Simulation) -> None:
    """A hanging commit ends the wait after stop_timeout."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.poll()
    host.stop()
    host.advance(31)
    while host.jobs and not host.finished:
        host.finish(len(host.jobs) - 1)
    assert host.finished


def test_a_refused_plan_is_an_outcome_and_releases_its_pin(host: Simulation) -> None:
    """An invalid configuration ends; the old file stays."""
    host.run()
    host.send_file("c.yaml", [b"x: 1"])
    host.poll()
    host.finish(0, refuse=Ending.INVALID)
    assert host.disk == {}
    assert host.endings() == ["invalid"]
    assert host.engine.stats().safe_positions == {P0: 1}


def test_a_journal_that_fails_is_written_again(host: Simulation) -> None:
    """Entries that could not be written go with the next."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run()
    host.advance(5)
    while host.jobs:
        host.finish(0, fail="I/O error" if isinstance(host.jobs[0], SaveJournal) else None)
    assert host.ledger().needs
    host.run(60)
    assert not host.ledger().needs
    assert any(outcome.label == "journal_failed" for outcome in host.outcomes)


def test_a_partition_that_is_gone_is_told_and_its_transfers_end(host: Simulation) -> None:
    """What was read of it pins nothing any more."""
    host.run()
    host.send_file("a.rpz", [b"A1", b"A2"], order=[0])
    host.run()
    host.faults.append(PartitionLost(source=P0))
    host.poll()
    assert host.endings() == ["head_missing"]
    assert host.engine.stats().positions == {}
    assert any(outcome.label == "partition_lost" for outcome in host.outcomes)


def test_after_the_end_events_mean_nothing(host: Simulation) -> None:
    """The engine has finished: whatever still comes is passed over."""
    host.run()
    host.stop()
    host.run()
    assert host.finished
    assert host.engine.handle(Woke(9.0)) == []


def test_the_verdicts_on_names_are_bounded() -> None:
    """A flood of names is judged one by one, and most verdicts are forgotten again."""
    host = Simulation(settings())
    host.partition()
    host.run()
    for number in range(4097):
        host.send_file(f"{number}.rpz", [b"x", b"y"], order=[0])
    host.poll(5000)
    assert host.engine.stats().open_transfers == 1024


def test_the_health_of_the_way_to_the_broker_is_told(host: Simulation) -> None:
    """Once for each change, and in the statistics."""
    health = Health(up=False, cause="no broker at all")
    host.feed(HealthSeen(1.0, health))
    assert str(host.outcomes[-1]) == "no broker at all"
    assert host.engine.stats().health is health


def test_a_place_that_cannot_be_written_refuses_its_file_alone(host: Simulation) -> None:
    """It is no trouble of the disk: nothing waits for it."""
    host.run()
    host.send_file("a.rpz", [b"A1", b"A2"], order=[0])
    host.run()
    chunk = AppendChunk(TransferKey(0, 0), "a.rpz", 0, 0, b"A1")
    host.feed(AppendFailed(host.now, chunk, "part of its path is a symbolic link", passing=False))
    assert host.endings() == ["refused_name"]
    assert host.polling
    host.feed(AppendFailed(host.now, chunk, "the same again", passing=False))
    assert host.endings() == ["refused_name"], "it had ended already"


def test_an_action_that_cannot_work_is_not_repeated(host: Simulation) -> None:
    """Only the operator can mend it."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run()
    host.advance(5)
    host.finish_action(Misconfigured("no rndc"))
    assert host.engine.stats().schedule == "blocked"


def test_the_end_of_no_action_is_a_bug(host: Simulation) -> None:
    """It is raised, and changes nothing."""
    with pytest.raises(InvalidTransitionError):
        host.feed(ActionFinished(1.0, 7, Unknown("?")))
