"""The receiver as a whole: a log in memory, real threads, real files, real ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import logging
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from filesync import (
    ActionEnded,
    CaughtUp,
    CommitRetried,
    Ending,
    Engine,
    KafkaSettings,
    Kind,
    Outcome,
    RecordRefused,
    Schedule,
    Settings,
    SpoolRetried,
    TransferEnded,
    _engine,
)
from filesync._ledger import Ledger
from filesync._model import ChangedFile
from filesync.daemon import ActionKind, ActionResult, CheckPassed, CheckResult, Served
from filesync.exceptions import FilesDirError, FilesInUseError, SettingsError, TransportError
from filesync.runtime import Receiver, World
from filesync.runtime._journal import Journal
from filesync.runtime._memory import MemoryBroker, MemoryTransport
from filesync.runtime._posix import Posix
from filesync.runtime._root import Root
from filesync.runtime._spool import Spool
from filesync.transport import Matcher, Polled
from support import victim
from support.disk import P0, Disk, descriptors, names_in
from support.waiting import eventually

TOPIC = "files"

#: Seconds until something that must happen has not happened.
PATIENCE = 10.0

QUIET = 0.2


class Daemon:
    """A daemon that serves whatever it is given, and notes what it was asked and when."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[ActionKind, list[ChangedFile], float]] = queue.Queue()
        self.meanwhile: Callable[[], object] = lambda: None

    def check(self, staged: str, name: str) -> CheckResult:
        """Accept everything."""
        self.meanwhile()
        return CheckPassed()

    def reload(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Serve it."""
        return self._act(ActionKind.RELOAD, changed)

    def renew(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Serve it."""
        return self._act(ActionKind.RENEW, changed)

    def stop(self) -> None:
        """Nothing runs."""

    def _act(self, kind: ActionKind, changed: Sequence[ChangedFile]) -> ActionResult:
        self.calls.put((kind, list(changed), time.monotonic()))
        self.meanwhile()
        return Served("seen")


class Host:
    """
    A log, a files-dir, a daemon, and the receiver between them.

    Attributes:
        seen: Every outcome so far that somebody waited past, and when it came.
    """

    def __init__(self, folder: Path) -> None:
        self.files = folder / "files"
        self.files.mkdir()
        self.broker = MemoryBroker()
        self.broker.create_topic(TOPIC)
        self.daemon = Daemon()
        self.outcomes: queue.Queue[tuple[Outcome, float, str]] = queue.Queue()
        self.seen: list[tuple[Outcome, float, str]] = []
        self.receivers: list[Receiver] = []

    @property
    def settings(self) -> Settings:
        """Those of the host ns1; actions follow after `QUIET` seconds."""
        return Settings(
            hostname="ns1",
            kafka=KafkaSettings(topic=TOPIC, files_dir=str(self.files)),
            schedule=Schedule(quiet=QUIET, max_wait=PATIENCE, min_gap=0.0),
        )

    def tell(self, outcome: Outcome) -> None:
        """Take an outcome from the receiver's thread."""
        self.outcomes.put((outcome, time.monotonic(), threading.current_thread().name))

    def receiver(self, **options: Any) -> Receiver:
        """Return a receiver; it is ended with the test."""
        options.setdefault("tell", self.tell)
        options.setdefault("daemon", self.daemon)
        options.setdefault("transport", MemoryTransport(self.broker, TOPIC))
        receiver = Receiver(self.settings, **options)
        self.receivers.append(receiver)
        return receiver

    def start(self, **options: Any) -> Receiver:
        """Start a receiver, and wait until it has caught up."""
        receiver = self.receiver(**options)
        receiver.start()
        self.wait_for(CaughtUp)
        return receiver

    def send(
        self,
        name: str,
        *pieces: bytes,
        order: Sequence[int] | None = None,
        host: bytes = b"ns1",
    ) -> None:
        """Append a file to the log, in as many chunks as there are pieces."""
        for index in range(len(pieces)) if order is None else order:
            headers: list[tuple[str, bytes | None]] = [
                ("hostname", host),
                ("file-name", name.encode()),
            ]
            if len(pieces) > 1:
                headers += [
                    ("total-chunks", b"%d" % len(pieces)),
                    ("chunk-index", b"%d" % (index + 1)),
                ]
            self.broker.publish(TOPIC, pieces[index], headers=headers)

    def wait_for(
        self, kind: type[Outcome], wanted: Callable[[Any], bool] = lambda _: True
    ) -> tuple[Any, float]:
        """Return the next outcome of *kind* that is *wanted*, and when it came."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                entry = self.outcomes.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                seen = [str(outcome) for outcome, _, _ in self.seen]
                raise AssertionError(f"no {kind.__name__} came; there were {seen}") from None
            self.seen.append(entry)
            if isinstance(entry[0], kind) and wanted(entry[0]):
                return entry[0], entry[1]

    def wait_until(self, name: str, ending: Ending = Ending.COMMITTED) -> TransferEnded:
        """Wait until a transfer of *name* ended, as it must."""
        outcome, _ = self.wait_for(TransferEnded, lambda outcome: outcome.name == name)
        assert isinstance(outcome, TransferEnded)
        assert outcome.ending is ending, outcome
        return outcome

    def expect_action(self, kind: ActionKind, *names: str) -> float:
        """Wait for the daemon's next call; return when it came."""
        called, changed, at = self.daemon.calls.get(timeout=PATIENCE)
        assert (called, [file.name for file in changed]) == (kind, list(names))
        self.wait_for(ActionEnded)
        return at

    def read(self, name: str) -> bytes:
        """Return what is in a file."""
        return (self.files / name).read_bytes()

    def ledger(self) -> Ledger:
        """Read the journal, as the next process will."""
        with (
            contextlib.closing(Root(str(self.files), Posix())) as root,
            contextlib.closing(Journal(root)) as journal,
        ):
            return journal.ledger

    def close(self) -> None:
        """End every receiver."""
        for receiver in self.receivers:
            with contextlib.suppress(TransportError):
                receiver.stop()


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    host.close()
    assert descriptors(host.files) == {}


# The main job


def test_a_whole_file_becomes_visible_and_is_renewed(host: Host) -> None:
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
def test_chunks_in_any_order_become_the_file(host: Host, order: tuple[int, ...]) -> None:
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


def test_the_version_before_is_kept(host: Host) -> None:
    """The old file is the backup of the new one."""
    host.start()
    for version in (b"one", b"two", b"three"):
        host.send("a.rpz", version)
        host.wait_until("a.rpz")
    assert (host.read("a.rpz"), host.read("a.rpz.backup")) == (b"three", b"two")
    assert names_in(host.files) == ["a.rpz", "a.rpz.backup"]


def test_an_invalid_configuration_changes_nothing(host: Host) -> None:
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


def test_many_changes_are_one_reload(host: Host) -> None:
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


def test_what_changes_during_an_action_gets_its_own(host: Host) -> None:
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


def test_the_log_at_start_becomes_one_change(host: Host) -> None:
    """Of each file only the newest version becomes visible, data first, with one reload."""
    host.send("c.yaml", b"number: 0\n")
    for number in range(30):
        host.send("a.rpz", b"%d" % number, b".")
    host.send("c.yaml", b"number: 1\n")
    host.start()
    host.expect_action(ActionKind.RELOAD, "a.rpz", "c.yaml")
    assert (host.read("a.rpz"), host.read("c.yaml")) == (b"29.", b"number: 1\n")
    assert names_in(host.files) == ["a.rpz", "c.yaml"]


def test_outcomes_are_told_by_the_receivers_thread(host: Host) -> None:
    """Whoever listens need not be ready for several threads."""
    host.start()
    host.send("a.rpz", b"rules")
    host.expect_action(ActionKind.RENEW, "a.rpz")
    assert {name for _, _, name in host.seen} == {"filesync-receiver"}


# Bad records, bad places


def test_a_bad_record_changes_nothing_for_the_others(host: Host) -> None:
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
    tmp_path: Path, host: Host, name: str, pieces: tuple[bytes, ...]
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


def test_records_for_others_are_not_logged(host: Host, caplog: pytest.LogCaptureFixture) -> None:
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
    host: Host, caplog: pytest.LogCaptureFixture
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


# Beginning and end


def test_stopping_takes_less_than_a_second(host: Host) -> None:
    """Idle, in the middle of a poll, with half a file stored: it ends, and nothing is left open."""
    receiver = host.start()
    host.send("a.rpz", b"one", b"two", order=[0])
    eventually(lambda: receiver.stats().open_transfers == 1)
    started = time.monotonic()
    receiver.stop()
    assert time.monotonic() - started < 1
    assert descriptors(host.files) == {}
    assert not [each for each in threading.enumerate() if each.name.startswith("filesync-")]


def test_stopping_needs_no_broker(host: Host) -> None:
    """While the broker is down it ends as fast."""
    receiver = host.start()
    host.broker.stop()
    eventually(lambda: (health := receiver.stats().health) is not None and not health.up)
    started = time.monotonic()
    receiver.stop()
    assert time.monotonic() - started < 1


def test_it_can_be_stopped_before_it_has_begun(host: Host) -> None:
    """Whatever a program does first, stopping is fine, and twice is fine."""
    receiver = host.receiver()
    receiver.stop()
    receiver.start()
    receiver.stop()
    receiver.stop()


def test_it_runs_once(host: Host) -> None:
    """Started again it would do nothing, without a word."""
    receiver = host.start()
    for begin in (receiver.start, receiver.run):
        with pytest.raises(RuntimeError, match="make another one"):
            begin()
    receiver.stop()
    for begin in (receiver.start, receiver.run):
        with pytest.raises(RuntimeError, match="make another one"):
            begin()


def test_what_was_only_opened_is_released(host: Host) -> None:
    """A program that changes its mind leaves files-dir to the next one."""
    first = host.receiver()
    first.open()
    first.stop()
    first.stop()
    with pytest.raises(RuntimeError, match="make another one"):
        first.run()
    host.start()


def test_a_restart_reads_on_where_it_stopped(host: Host) -> None:
    """Nothing is read twice and nothing is left out, half a file included."""
    first = host.start()
    host.send("a.rpz", b"rules")
    host.expect_action(ActionKind.RENEW, "a.rpz")
    host.send("x", b"x", host=b"ns2")
    eventually(lambda: first.stats().positions[P0] == 2)
    first.stop()
    assert host.ledger().positions == {P0: 2}
    host.send("b.rpz", b"one", b"two", order=[1])
    second = host.start()
    assert second.stats().counters["records"] == 1
    assert "committed" not in second.stats().counters
    assert second.stats().files.keys() == {"a.rpz"}
    second.stop()
    half = ["b.rpz.chunks", "b.rpz.chunks/0-2-0", "b.rpz.chunks/0-2-0/2"]
    assert names_in(host.files) == ["a.rpz", *half]
    third = host.start()
    assert third.stats().safe_positions == {P0: 2}
    host.send("b.rpz", b"one", b"two", order=[0])
    host.wait_until("b.rpz")
    assert host.read("b.rpz") == b"onetwo"
    assert third.stats().counters["records"] == 2
    assert host.broker.committed.keys() <= {P0}


def test_a_need_survives_a_restart(host: Host) -> None:
    """What became visible and was not served yet is served by the next process, unasked."""
    first = host.start()
    host.send("c.yaml", b"workers: 1\n")
    host.wait_until("c.yaml")
    first.stop()
    assert host.daemon.calls.empty()
    assert first.stats().unserved == ("c.yaml",)
    second = host.start()
    host.expect_action(ActionKind.RELOAD, "c.yaml")
    assert second.stats().unserved == ()
    assert second.stats().counters["records"] == 0
    second.stop()
    host.start().stop()
    assert host.daemon.calls.empty()


def test_a_wiped_files_dir_is_filled_again(host: Host) -> None:
    """The position lives with the files: without them all is read from the start."""
    host.send("a.rpz", b"rules")
    host.start().stop()
    for path in sorted(host.files.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    host.start()
    assert host.read("a.rpz") == b"rules"


def test_it_can_end_by_itself(host: Host) -> None:
    """Once all that was there is on disk and served, `run` returns."""
    host.send("a.rpz", b"one", b"two")
    host.send("c.yaml", b"workers: 1\n")
    receiver = host.receiver(finish_when_caught_up=True)
    receiver.run()
    assert names_in(host.files) == ["a.rpz", "c.yaml"]
    assert host.daemon.calls.get_nowait()[0] is ActionKind.RELOAD
    stats = receiver.stats()
    assert (stats.caught_up, stats.unserved) == (True, ())
    assert host.ledger().positions == {P0: 3}
    assert host.ledger().needs == ()


def test_it_runs_in_the_thread_that_calls_it(host: Host) -> None:
    """`run` returns after `ask_to_stop`, which anybody may call."""
    receiver = host.receiver()
    host.send("a.rpz", b"rules")

    def ask() -> None:
        host.wait_until("a.rpz")
        receiver.ask_to_stop()

    asker = threading.Thread(target=ask)
    asker.start()
    receiver.run()
    asker.join()
    assert host.read("a.rpz") == b"rules"


def test_two_receivers_do_not_share_a_directory(host: Host) -> None:
    """The second ends at start, the first goes on, and after it the second may begin."""
    first = host.start()
    second = host.receiver()
    for begin in (second.start, second.open, second.run):
        with pytest.raises(FilesInUseError, match=f"{host.files} is in use"):
            begin()
    host.send("a.rpz", b"rules")
    host.wait_until("a.rpz")
    first.stop()
    second.start()
    host.wait_for(CaughtUp)
    assert second.stats().files.keys() == {"a.rpz"}


def test_what_keeps_it_from_starting_is_raised_at_once(host: Host) -> None:
    """Missing directories and daemons are told to the caller, not to a log."""
    os.rename(host.files, host.files.with_name("elsewhere"))
    receiver = host.receiver()
    with pytest.raises(FilesDirError, match="create it, or correct"):
        receiver.start()
    os.rename(host.files.with_name("elsewhere"), host.files)
    with pytest.raises(SettingsError, match=r"filesync\.daemon"):
        Receiver(
            Settings(hostname="ns1", daemon=type(host.settings.daemon)(adapter="nobodys")),
            transport=MemoryTransport(host.broker, TOPIC),
        )


class _Dying(MemoryTransport):
    """Is of no more use after the first file."""

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """Fail for good instead of delivering."""
        polled = super().poll(timeout, max_records, wanted)
        if polled.records:
            raise TransportError("the broker speaks another protocol")
        return polled


def test_a_transport_that_fails_for_good_is_told_by_waiting(host: Host) -> None:
    """`wait` and `stop` raise what the transport raised; files-dir is free again."""
    receiver = host.receiver(transport=_Dying(host.broker, TOPIC))
    receiver.start()
    host.send("a.rpz", b"rules")
    for end in (receiver.wait, receiver.stop):
        with pytest.raises(TransportError, match="another protocol"):
            end()
    host.receiver().start()
    host.wait_until("a.rpz")
    assert host.read("a.rpz") == b"rules"


def test_a_daemon_that_breaks_its_promise_is_survived(host: Host) -> None:
    """An exception out of an adapter is told as the bug that it is, and nothing stops."""
    host.start()

    def fail() -> None:
        raise RuntimeError("no such thing")

    host.daemon.meanwhile = fail
    host.send("c.yaml", b"workers: 1\n")
    retried, _ = host.wait_for(CommitRetried)
    assert retried.detail.startswith("a bug in filesync or in an adapter: RuntimeError: no such")
    host.send("a.rpz", b"rules")
    host.wait_until("a.rpz")
    ended, _ = host.wait_for(ActionEnded)
    assert ended.label == "renew_misconfigured"
    assert "RuntimeError: no such thing" in str(ended)


# Other threads, other loops


def test_stats_can_be_asked_for_at_any_time(host: Host) -> None:
    """From another thread, while much happens: each answer is consistent in itself."""
    receiver = host.start()
    stop = threading.Event()
    problems: list[object] = []
    asked = 0

    def ask() -> None:
        nonlocal asked
        try:
            while not stop.wait(0.001):
                stats = receiver.stats()
                assert stats.counters.get("committed", 0) >= len(stats.files)
                assert {*stats.unserved} <= {*stats.files}
                for source, safe in stats.safe_positions.items():
                    assert safe <= stats.positions[source]
                asked += 1
        except BaseException as exc:  # noqa: BLE001 - told below.
            problems.append(exc)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for number in range(50):
            host.send(f"{number}.rpz", b"one", b"two")
        for _ in range(50):
            host.wait_for(TransferEnded)
        eventually(lambda: asked > 10 or problems)
    finally:
        stop.set()
        asker.join()
    assert problems == []
    assert receiver.stats().counters["committed"] == 50


def test_it_lives_inside_an_asyncio_program(host: Host) -> None:
    """The loop goes on while it starts, receives and stops; outcomes reach the loop."""

    async def program() -> list[str]:
        loop = asyncio.get_running_loop()
        outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        receiver = host.receiver(
            tell=lambda outcome: loop.call_soon_threadsafe(outcomes.put_nowait, outcome)
        )
        receiver.start()
        host.send("a.rpz", b"rules")
        labels: list[str] = []
        while not labels or labels[-1] != "renew_served":
            labels.append((await asyncio.wait_for(outcomes.get(), PATIENCE)).label)
        stopping = asyncio.create_task(asyncio.to_thread(receiver.stop))
        turns = 0
        while not stopping.done():
            await asyncio.sleep(0)
            turns += 1
        await stopping
        assert turns > 1
        return labels

    labels: list[str] = asyncio.run(program())
    assert sorted(labels) == ["caught_up", "committed", "health_changed", "renew_served"]
    assert host.read("a.rpz") == b"rules"


def run_world(host: Host, disk: Disk, seen: Callable[[Outcome], None]) -> Engine:
    """Drive the engine by a loop of our own until it has caught up; return it."""
    engine = Engine(host.settings, finish_when_caught_up=True)
    transport = MemoryTransport(host.broker, TOPIC)
    world = World(
        host.settings, transport, host.daemon, wanted=engine.wanted, tell=seen, posix=disk
    )
    deadline = time.monotonic() + PATIENCE
    try:
        while not world.finished:
            assert time.monotonic() < deadline
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)
    return engine


def test_a_foreign_loop_may_drive_it(host: Host) -> None:
    """Without a thread of its own for the engine all is the same."""
    host.send("a.rpz", b"one", b"two", order=[1, 0])
    labels: list[str] = []
    engine = run_world(host, Disk(), lambda outcome: labels.append(outcome.label))
    assert sorted(labels) == ["caught_up", "committed", "health_changed", "renew_served"]
    assert engine.stats().unserved == ()
    assert host.read("a.rpz") == b"onetwo"


def test_a_full_disk_is_waited_for(host: Host) -> None:
    """Chunks that find no room are told once and stored later; no byte is lost."""
    host.send("a.rpz", b"one ", b"two ", b"three")
    disk = Disk()
    disk.refuse_always("write_at 1", errno.ENOSPC)
    outcomes: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if isinstance(outcome, SpoolRetried):
            assert not (host.files / "a.rpz").exists()
            disk.allow()

    run_world(host, disk, tell)
    told = [str(outcome) for outcome in outcomes if isinstance(outcome, SpoolRetried)]
    assert told == [
        "a.rpz: chunks cannot be stored: No space left on device; reading waits, tried again in 1 s"
    ]
    assert host.read("a.rpz") == b"one two three"
    assert names_in(host.files) == ["a.rpz"]


class _Sip(MemoryTransport):
    """Brings ten records at a time."""

    def poll(self, timeout: float, max_records: int, wanted: Matcher) -> Polled:
        """Take less than there is room for."""
        return super().poll(timeout, min(max_records, 10), wanted)


def test_while_the_disk_is_full_nothing_more_is_read(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What memory holds is one batch, however long it takes until there is room."""
    monkeypatch.setattr(_engine, "RETRY_AFTER", 0.02)
    for number in range(30):
        host.send(f"{number}.rpz", b"one", b"two", order=[0])
    disk = Disk(hasty=True)
    disk.refuse_always("write_at 1", errno.ENOSPC)
    engine = Engine(host.settings)
    world = World(
        host.settings,
        _Sip(host.broker, TOPIC),
        host.daemon,
        wanted=engine.wanted,
        tell=lambda _: None,
        posix=disk,
    )
    try:
        while disk.refused < 50:
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)
    assert engine.stats().counters["records"] == 10


def test_what_became_visible_is_recorded_whatever_comes_next(host: Host) -> None:
    """Readers see it, so the journal must say so and the daemon be told, though newer came."""
    good, broken = b"workers: 1\n", b"workers: [\n"
    engine, disk = Engine(host.settings), Disk()
    endings: list[Ending] = []

    def tell(outcome: Outcome) -> None:
        if isinstance(outcome, CommitRetried):
            host.send("c.yaml", broken)
        elif isinstance(outcome, TransferEnded):
            endings.append(outcome.ending)

    def fail_behind_the_rename(call: str) -> None:
        if call == "rename c.yaml.tmp c.yaml":
            disk.refuse("sync .", errno.EIO)

    disk.after = fail_behind_the_rename
    host.send("c.yaml", good)
    transport = MemoryTransport(host.broker, TOPIC)
    world = World(
        host.settings, transport, host.daemon, wanted=engine.wanted, tell=tell, posix=disk
    )
    try:
        while Ending.INVALID not in endings:
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)
    assert host.read("c.yaml") == good
    assert host.ledger().files["c.yaml"].digest == hashlib.sha256(good).digest()


# Killed


def check_remains(files: Path, before: dict[str, int]) -> tuple[dict[str, int], int]:
    """
    Look at what a killed process left; return the visible versions, and where to read on.

    Every file is whole and no older than *before*. The journal can be read;
    what it does not know of what is visible yet comes again from the log, or a
    newer version does, which was whole and kept the position where it begins.
    """
    with (
        contextlib.closing(Root(str(files), Posix())) as root,
        contextlib.closing(Journal(root)) as journal,
    ):
        ledger = journal.ledger
        position = ledger.positions.get(P0, 0)
        visible = {}
        for name in victim.FILES:
            path = files / name
            backup = files / f"{name}.backup"
            if not path.exists():
                assert name not in ledger.files
                assert name not in before
                assert not backup.exists()
                continue
            visible[name] = version = victim.version_of(name, path.read_bytes())
            assert version >= before.get(name, 0)
            if backup.exists():
                assert victim.version_of(name, backup.read_bytes()) <= version
            known = ledger.files.get(name)
            if known is None or known.digest != hashlib.sha256(path.read_bytes()).digest():
                newer = max(version, (position - 1) // victim.RECORDS)
                assert position <= victim.first_record(name, newer)
        Spool(root).sweep()
    left = {name for name in names_in(files) if (files / name).is_file()}
    assert left <= {*victim.FILES, *(f"{name}.backup" for name in victim.FILES)}
    return visible, position


def test_a_kill_at_any_moment_costs_nothing(tmp_path: Path) -> None:
    """Twenty times: old or new, whole, the journal readable; in the end the newest is there."""
    files = tmp_path / "files"
    files.mkdir()
    visible: dict[str, int] = {}
    versions = 1
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-W", "error", victim.__file__, str(files), str(versions)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(random.randint(1, 12)):
                assert process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(random.uniform(0, 0.03))
            process.kill()
        visible, position = check_remains(files, visible)
        # The log of the next one goes at least as far as this one's did, as far as is known.
        read = -(-position // victim.RECORDS)
        versions = max(versions, read, *(version + 1 for version in visible.values()))
    assert min(visible.values()) > 0, "nothing was ever committed"

    broker = MemoryBroker()
    broker.create_topic(victim.TOPIC)
    versions += 1
    for version in range(versions):
        victim.publish(broker, version)
    Receiver(
        victim.settings(str(files)),
        transport=MemoryTransport(broker, victim.TOPIC),
        finish_when_caught_up=True,
        tell=lambda _: None,
    ).run()
    for name in victim.FILES:
        assert victim.version_of(name, (files / name).read_bytes()) == versions - 1
