"""The receiver as a whole: a log in memory, real threads, real files; records good and bad."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from pathlib import Path

import pytest

from filesync import Ending, Kind, RecordRefused, SpoolRetried, TransferEnded
from filesync._model import ChangedFile
from filesync.daemon import ActionKind
from support.disk import P0, names_in
from support.memory_host import PATIENCE, QUIET, TOPIC, MemoryHost
from support.waiting import eventually

# The main job


def test_a_whole_file_becomes_visible_and_is_renewed(host: MemoryHost) -> None:
    """One record, one file, one renew that names it by path, digest and kind."""
    host.start()
    host.send("b/a.rpz", b"rules")
    assert host.wait_until("b/a.rpz").size == 5
    assert host.read("b/a.rpz") == b"rules"
    kind, changed, _ = host.daemon.calls.get(timeout=PATIENCE)
    assert kind is ActionKind.RENEW
    digest = hashlib.sha256(b"rules").digest()
    path = str(host.files / "b" / "a.rpz")
    assert changed == [ChangedFile(name="b/a.rpz", path=path, digest=digest, kind=Kind.DATA)]


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_chunks_in_any_order_become_the_file(host: MemoryHost, order: tuple[int, ...]) -> None:
    """They wait in a directory beside the file, which is gone when the file is there."""
    host.start()
    pieces = [b"one ", b"two ", b"", b"three"]
    for index in order[:-1]:
        host.send("a.rpz", *pieces, order=[index])
    eventually(lambda: host.receivers[0].stats().positions.get(P0) == 3)
    assert "a.rpz.chunks" in names_in(host.files)
    assert "a.rpz" not in names_in(host.files)
    host.send("a.rpz", *pieces, order=[order[-1]])
    host.wait_until("a.rpz")
    assert host.read("a.rpz") == b"one two three"
    assert names_in(host.files) == ["a.rpz"]


def test_the_version_before_is_kept(host: MemoryHost) -> None:
    """The old file is the backup of the new one."""
    host.start()
    for version in (b"one", b"two", b"three"):
        host.send("a.rpz", version)
        host.wait_until("a.rpz")
    assert (host.read("a.rpz"), host.read("a.rpz.backup")) == (b"three", b"two")
    assert names_in(host.files) == ["a.rpz", "a.rpz.backup"]


def test_an_invalid_configuration_changes_nothing(host: MemoryHost) -> None:
    """It is refused with the reason, the old one stays, the daemon is not bothered."""
    host.start()
    host.send("c.yaml", b"workers: 1\n")
    host.wait_until("c.yaml")
    host.expect_action(ActionKind.RELOAD, "c.yaml")
    host.send("c.yaml", b"workers: [1\n", b"workers: 2\n")
    assert "the old file stays" in host.wait_until("c.yaml", Ending.INVALID).detail
    host.send("a.rpz", b"rules")
    host.wait_until("a.rpz")
    host.expect_action(ActionKind.RENEW, "a.rpz")
    assert host.read("c.yaml") == b"workers: 1\n"
    assert names_in(host.files) == ["a.rpz", "c.yaml"]


def test_many_changes_are_one_reload(host: MemoryHost) -> None:
    """It starts once all was quiet for as long as it should be, and covers the data too."""
    receiver = host.start()
    last = 0.0
    for number in range(4):
        host.send("a.rpz", b"%d" % number)
        host.send("c.yaml", b"number: %d\n" % number)
        for _ in range(2):
            _, last = host.wait_for(TransferEnded)
    at = host.expect_action(ActionKind.RELOAD, "a.rpz", "c.yaml")
    # An outcome is told a moment after its commit.
    assert at - last > QUIET - 0.05
    receiver.stop()
    assert host.daemon.calls.empty()
    assert receiver.stats().unserved == ()


def test_what_changes_during_an_action_gets_its_own(host: MemoryHost) -> None:
    """A renew covers what was committed before it began, and no more."""
    host.start()
    begun, hold = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        hold.wait(PATIENCE)

    host.daemon.meanwhile = wait
    host.send("a.rpz", b"rules")
    assert begun.wait(PATIENCE)
    host.send("b.rpz", b"more rules")
    host.wait_until("b.rpz")
    hold.set()
    host.expect_action(ActionKind.RENEW, "a.rpz")
    host.expect_action(ActionKind.RENEW, "b.rpz")


def test_the_log_at_start_becomes_one_change(host: MemoryHost) -> None:
    """Of each file only the newest version becomes visible, data first, with one reload."""
    host.send("c.yaml", b"number: 0\n")
    for number in range(30):
        host.send("a.rpz", b"%d" % number, b".")
    host.send("c.yaml", b"number: 1\n")
    host.start()
    host.expect_action(ActionKind.RELOAD, "a.rpz", "c.yaml")
    assert (host.read("a.rpz"), host.read("c.yaml")) == (b"29.", b"number: 1\n")
    assert names_in(host.files) == ["a.rpz", "c.yaml"]


def test_outcomes_are_told_by_the_receivers_thread(host: MemoryHost) -> None:
    """Whoever listens need not be ready for several threads."""
    host.start()
    host.send("a.rpz", b"rules")
    host.expect_action(ActionKind.RENEW, "a.rpz")
    assert {name for _, _, name in host.seen} == {"filesync-receiver"}


# Bad records, bad places


def test_a_bad_record_changes_nothing_for_the_others(host: MemoryHost) -> None:
    """Malformed, refused or for nobody: what comes before and after is received."""
    receiver = host.start()
    host.send("a.rpz", b"one")
    host.broker.publish(TOPIC, b"x", headers=[("hostname", b"ns1")])
    host.broker.publish(TOPIC, None, headers=[("hostname", b"ns1"), ("file-name", b"a.rpz")])
    host.broker.publish_undecodable(TOPIC)
    host.send("../outside", b"x")
    host.send("/etc/passwd", b"x")
    host.send(".filesync/journal", b"x")
    host.send("a.rpz.tmp", b"x")
    host.send("b.rpz", b"two")
    host.wait_until("b.rpz")
    assert names_in(host.files) == ["a.rpz", "b.rpz"]
    assert os.listdir(host.files.parent) == ["files"]
    counters = receiver.stats().counters
    assert (counters["malformed"], counters["refused_name"], counters["unreadable"]) == (2, 4, 1)


@pytest.mark.parametrize("pieces", [(b"x",), (b"x", b"y"), (b"x", b"y", b"z")])
@pytest.mark.parametrize("name", ["link/x", "link/deep/x", "file/x", "pipe/x", "linked", "taken"])
def test_a_place_that_cannot_be_used_holds_up_nobody(
    tmp_path: Path, host: MemoryHost, name: str, pieces: tuple[bytes, ...]
) -> None:
    """Through a link, a file, a pipe or a name of ours that is taken: refused, and that is all."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (host.files / "link").symlink_to(outside)
    (host.files / "linked").symlink_to(outside / "x")
    (host.files / "file").touch()
    (host.files / "taken.chunks").touch()
    os.mkfifo(host.files / "pipe")
    before = names_in(host.files)
    host.start()
    host.send(name, *pieces)
    host.send("a.rpz", b"rules")
    host.wait_until("a.rpz")
    host.send("b.rpz", b"rules")
    host.wait_until("b.rpz")
    assert not [outcome for outcome, _, _ in host.seen if isinstance(outcome, SpoolRetried)]
    refused = [
        outcome
        for outcome, _, _ in host.seen
        if isinstance(outcome, TransferEnded | RecordRefused) and not outcome.fine
    ]
    assert refused
    assert {outcome.label for outcome in refused} <= {"refused_name", "late_duplicate"}
    assert names_in(outside) == []
    assert names_in(host.files) == sorted([*before, "a.rpz", "b.rpz"])


def test_records_for_others_are_not_logged(
    host: MemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    """They are counted, and that is all; ours are logged."""
    caplog.set_level(logging.DEBUG, logger="filesync")
    for _ in range(500):
        host.send("a.rpz", b"x", host=b"ns2")
    host.send("b.rpz", b"y")
    receiver = host.receiver(tell=None, finish_when_caught_up=True)
    receiver.run()
    labels = [vars(record)["filesync"].label for record in caplog.records]
    assert sorted(labels) == ["caught_up", "committed", "health_changed", "renew_served"]
    assert receiver.stats().counters["passed_over"] == 500
    assert receiver.stats().counters["records"] == 1


def test_a_flood_of_bad_records_is_no_flood_in_the_log(
    host: MemoryHost, caplog: pytest.LogCaptureFixture
) -> None:
    """Some are logged, all are counted, and the file behind them arrives."""
    caplog.set_level(logging.DEBUG, logger="filesync")
    for _ in range(500):
        host.broker.publish(TOPIC, b"x", headers=[("hostname", b"ns1")])
    host.send("b.rpz", b"y")
    receiver = host.receiver(tell=None, finish_when_caught_up=True)
    receiver.run()
    labels = [vars(record)["filesync"].label for record in caplog.records]
    assert labels.count("malformed") == 10
    assert "committed" in labels
    assert receiver.stats().counters["malformed"] == 500
