"""The `command` daemon, with real programs: what the end of a check or of an action means."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from filesync.daemon import (
    ActionResult,
    Assumed,
    CheckFailed,
    CheckPassed,
    CheckUnavailable,
    Daemon,
    Refused,
    Unknown,
    Unreachable,
)
from filesync.runtime import _program
from support.commands import (
    FILES_DIR,
    RUNS,
    STUBBORN,
    Fifo,
    changed,
    command_daemon,
    has_zombie,
    shell,
)

# What a check's end means


def test_without_a_check_command_everything_passes() -> None:
    """Who configures no check is satisfied with the strict parse."""
    daemon: Daemon = command_daemon(reload=["false"])
    assert daemon.check("/staged", "a.conf") == CheckPassed()


def test_status_0_passes_a_check() -> None:
    """Whatever it prints, a check that exits with 0 accepts the file."""
    assert command_daemon(check=shell("echo a warning")).check("/staged", "a") == CheckPassed()


@pytest.mark.parametrize("status", [1, 2, 74, 76, 126, 127, 255])
def test_any_other_status_fails_a_check(status: int) -> None:
    """The file is refused, and what the check printed is passed on."""
    result = command_daemon(check=shell(f"echo no; echo good >&2; exit {status}", "{path}")).check(
        "/staged", "b/a.conf"
    )
    why = f"/bin/sh for b/a.conf exited with status {status}: no / good"
    assert result == CheckFailed(why, missing=())


@pytest.mark.parametrize(
    ("printed", "missing"),
    [
        ("missing: b.rpz", ("b.rpz",)),
        ("error\\nmissing: a b.rpz\\nmissing:   c.rpz \\nmissing:\\n", ("a b.rpz", "c.rpz")),
        ("missing: b.rpz\\r\\n", ("b.rpz",)),
        ("", ("?",)),
        ("is missing: b.rpz", ("?",)),
        ("missing: ", ("?",)),
    ],
)
def test_status_75_says_which_files_are_missing(printed: str, missing: tuple[str, ...]) -> None:
    """The lines that start with ``missing: `` name them; without one it is known that one is."""
    result = command_daemon(check=shell(f"printf '{printed}'; exit 75")).check("/staged", "a")
    assert isinstance(result, CheckFailed)
    assert result.missing == missing
    assert result.why.startswith("/bin/sh exited with status 75")


@pytest.mark.parametrize("name", ["SEGV", "ABRT", "FPE"])
def test_a_checker_that_crashes_fails_the_check(name: str) -> None:
    """A file over which the checker crashes is not let through to the daemon."""
    result = command_daemon(check=shell(f"ulimit -c 0; kill -{name} $$")).check("/staged", "a")
    number = signal.Signals[f"SIG{name}"].value
    said = f"/bin/sh was ended by signal {number} ({signal.strsignal(number)})"
    assert result == CheckFailed(said)


@pytest.mark.parametrize("name", ["TERM", "KILL", "INT", "HUP"])
def test_a_checker_that_somebody_kills_says_nothing_about_the_file(name: str) -> None:
    """At the end of a service its checker gets SIGTERM, too; the file is checked again later."""
    result = command_daemon(check=shell(f"kill -{name} $$")).check("/staged", "a")
    assert isinstance(result, CheckUnavailable)
    assert "was ended by signal" in result.why


@pytest.mark.usefixtures("time_is_up_once_started")
def test_a_check_that_takes_too_long_is_killed_with_its_children(fifo: Fifo) -> None:
    """Neither the program nor its child, both deaf to SIGTERM, outlive the time limit."""
    daemon = command_daemon(check=shell(STUBBORN, fifo.path), check_timeout="1.5s")
    assert daemon.check("/staged", "a") == CheckFailed(
        "/bin/sh did not end within 1.5 s and was killed: waiting for a lock"
    )
    fifo.wait_for_end()
    assert not has_zombie()


def test_a_time_limit_is_kept_by_the_real_clock(fifo: Fifo) -> None:
    """The limit is in seconds, and is over by itself."""
    daemon = command_daemon(check=shell(STUBBORN, fifo.path), check_timeout=0.2)
    assert isinstance(daemon.check("/staged", "a"), CheckFailed)
    fifo.wait_for_end()


# What an action's end means


@pytest.mark.parametrize("kind", ["reload", "renew"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo ok", Assumed("/bin/sh exited with status 0; it cannot prove more")),
        ("echo bad zone; exit 1", Refused("/bin/sh exited with status 1: bad zone")),
        ("exit 127", Refused("/bin/sh exited with status 127")),
        ("echo no; exit 75", Unreachable("/bin/sh exited with status 75: no")),
        ("kill -TERM $$", Unknown("/bin/sh was ended by signal 15 (Terminated)")),
        ("kill -KILL $$", Unknown("/bin/sh was ended by signal 9 (Killed)")),
    ],
)
def test_what_an_action_ends_in(kind: str, script: str, expected: ActionResult) -> None:
    """An exit status never proves that a daemon serves the new files."""
    assert RUNS[kind](command_daemon(**{kind: shell(script)})) == expected


@pytest.mark.parametrize("kind", ["reload", "renew"])
@pytest.mark.usefixtures("time_is_up_once_started")
def test_an_action_that_takes_too_long_is_killed_with_its_children(kind: str, fifo: Fifo) -> None:
    """Whether the daemon took the files before cannot be told."""
    daemon = command_daemon(**{kind: shell(STUBBORN, fifo.path)})
    assert RUNS[kind](daemon) == Unknown(
        "/bin/sh did not end within 60 s and was killed: waiting for a lock"
    )
    fifo.wait_for_end()
    assert not has_zombie()


def test_without_commands_nothing_is_done() -> None:
    """An action for which there is no command is assumed to be unneeded."""
    daemon = command_daemon()
    assert daemon.reload(changed("a"), 60) == Assumed("no reload command is configured")
    assert daemon.renew(changed("a"), 60) == Assumed("no renew command is configured")


def test_a_reload_covers_a_renew_but_not_the_other_way_round() -> None:
    """A renew without a command runs the reload; a reload without one runs nothing."""
    assert isinstance(command_daemon(reload=["false"]).renew([], 60), Refused)
    assert command_daemon(renew=["false"]).reload([], 60) == Assumed(
        "no reload command is configured"
    )
    both = command_daemon(reload=["false"], renew=["true"])
    assert isinstance(both.renew([], 60), Assumed)


def test_an_action_that_names_files_runs_once_for_each(tmp_path: Path) -> None:
    """The files come one by one, in order, each with its name, path and directory."""
    log = tmp_path / "log"
    script = 'printf "%s " "$@" >>"$0"'
    daemon = command_daemon(
        renew=["/bin/sh", "-c", script, str(log), "{name}", "{path}", "{dir}", ";"]
    )
    result = daemon.renew(changed("b.rpz", "a/c.rpz"), 60)
    assert result == Assumed("/bin/sh for a/c.rpz exited with status 0; it cannot prove more")
    assert log.read_text() == (
        f"b.rpz {FILES_DIR}/b.rpz {FILES_DIR} ; a/c.rpz {FILES_DIR}/a/c.rpz {FILES_DIR} ; "
    )


def test_an_action_stops_at_the_first_file_that_fails(tmp_path: Path) -> None:
    """What failed is told with the name of the file, and the files after it are left out."""
    log = tmp_path / "log"
    script = 'echo "$1" >>"$0"; [ "$1" != b ]'
    daemon = command_daemon(reload=["/bin/sh", "-c", script, str(log), "{name}"])
    assert daemon.reload(changed("a", "b", "c"), 60) == Refused(
        "/bin/sh for b exited with status 1"
    )
    assert log.read_text() == "a\nb\n"


def test_an_action_that_names_files_needs_files() -> None:
    """Without a file such a command does not run."""
    daemon = command_daemon(renew=["false", "{name}"])
    assert daemon.renew([], 60) == Assumed("no file to run false for")


def test_the_time_limit_is_that_of_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the time is up after one file, the next one does not start; it may another time."""
    log = tmp_path / "log"

    def monotonic() -> float:
        """Let the time be up as soon as the first program was reaped."""
        pids = log.read_text().split() if log.exists() else []
        return 1e9 if pids and not os.path.exists(f"/proc/{pids[0]}") else 0.0

    monkeypatch.setattr(_program, "time", SimpleNamespace(monotonic=monotonic))
    daemon = command_daemon(renew=shell('echo $$ >>"$1"', str(log), "{name}"))
    assert daemon.renew(changed("a", "b"), 60) == Unreachable(
        "/bin/sh for b cannot be run: the time for the whole action is up"
    )
    assert len(log.read_text().split()) == 1
