"""How a receiver begins and ends: by itself, when it is asked to, or because it must."""

from __future__ import annotations

import os
import threading
import time

import pytest

from filesync import ActionEnded, CaughtUp, CommitRetried, Settings
from filesync.daemon import ActionKind
from filesync.exceptions import FilesDirError, FilesInUseError, SettingsError, TransportError
from filesync.runtime import Receiver
from filesync.runtime._memory import MemoryTransport
from filesync.transport import Matcher, Polled
from support.disk import P0, descriptors, names_in
from support.memory_host import TOPIC, MemoryHost
from support.waiting import eventually


def test_stopping_takes_less_than_a_second(host: MemoryHost) -> None:
    """Idle, in the middle of a poll, with half a file stored: it ends, and nothing is left open."""
    receiver = host.start()
    host.send("a.rpz", b"one", b"two", order=[0])
    eventually(lambda: receiver.stats().open_transfers == 1)
    started = time.monotonic()
    receiver.stop()
    assert time.monotonic() - started < 1
    assert descriptors(host.files) == {}
    assert not [each for each in threading.enumerate() if each.name.startswith("filesync-")]


def test_stopping_needs_no_broker(host: MemoryHost) -> None:
    """While the broker is down it ends as fast."""
    receiver = host.start()
    host.broker.stop()
    eventually(lambda: (health := receiver.stats().health) is not None and not health.up)
    started = time.monotonic()
    receiver.stop()
    assert time.monotonic() - started < 1


def test_it_can_be_stopped_before_it_has_begun(host: MemoryHost) -> None:
    """Whatever a program does first, stopping is fine, and twice is fine."""
    receiver = host.receiver()
    receiver.stop()
    receiver.start()
    receiver.stop()
    receiver.stop()


def test_it_runs_once(host: MemoryHost) -> None:
    """Started again it would do nothing, without a word."""
    receiver = host.start()
    for begin in (receiver.start, receiver.run):
        with pytest.raises(RuntimeError, match="make another one"):
            begin()
    receiver.stop()
    for begin in (receiver.start, receiver.run):
        with pytest.raises(RuntimeError, match="make another one"):
            begin()


def test_what_was_only_opened_is_released(host: MemoryHost) -> None:
    """A program that changes its mind leaves files-dir to the next one."""
    first = host.receiver()
    first.open()
    first.stop()
    first.stop()
    with pytest.raises(RuntimeError, match="make another one"):
        first.run()
    host.start()


def test_a_restart_reads_on_where_it_stopped(host: MemoryHost) -> None:
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


def test_a_need_survives_a_restart(host: MemoryHost) -> None:
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


def test_a_wiped_files_dir_is_filled_again(host: MemoryHost) -> None:
    """The position lives with the files: without them all is read from the start."""
    host.send("a.rpz", b"rules")
    host.start().stop()
    for path in sorted(host.files.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    host.start()
    assert host.read("a.rpz") == b"rules"


def test_it_can_end_by_itself(host: MemoryHost) -> None:
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


def test_it_runs_in_the_thread_that_calls_it(host: MemoryHost) -> None:
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


def test_two_receivers_do_not_share_a_directory(host: MemoryHost) -> None:
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


def test_what_keeps_it_from_starting_is_raised_at_once(host: MemoryHost) -> None:
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


def test_a_transport_that_fails_for_good_is_told_by_waiting(host: MemoryHost) -> None:
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


def test_a_daemon_that_breaks_its_promise_is_survived(host: MemoryHost) -> None:
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
