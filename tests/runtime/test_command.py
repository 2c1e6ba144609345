"""The `command` daemon, with real programs."""

from __future__ import annotations

import math
import os
import resource
import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from filesync._model import ChangedFile, Kind
from filesync.daemon import (
    ActionResult,
    Assumed,
    CheckFailed,
    CheckPassed,
    CheckUnavailable,
    Daemon,
    Misconfigured,
    Refused,
    Unknown,
    Unreachable,
)
from filesync.runtime import _command, _program
from filesync.runtime._command import CommandDaemon, open_command_daemon

FILES_DIR = "/srv/files"

#: Tells the fifo ``$1`` that it runs, twice over, and then ignores what it can.
STUBBORN = """\
trap '' TERM INT HUP
exec 3>"$1"
echo waiting for a lock
(echo started >&3; sleep 1000) &
wait
"""

#: Writes its arguments to the file whose name follows.
RECORD = 'printf "%s\\0" "$@" >'

Run = Callable[[CommandDaemon], object]
RUNS: dict[str, Run] = {
    "check": lambda daemon: daemon.check("/staged", "a.conf"),
    "reload": lambda daemon: daemon.reload([], 60),
    "renew": lambda daemon: daemon.renew([], 60),
}


def shell(script: str, *arguments: str) -> list[str]:
    """Return the argument list that lets a shell run *script*; *arguments* are ``$1`` on."""
    return ["/bin/sh", "-c", script, "sh", *arguments]


def command_daemon(**options: Any) -> CommandDaemon:
    """Return a daemon with *options*, ``_`` for ``-`` in their names."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    return open_command_daemon(named, files_dir=FILES_DIR)


def changed(*names: str) -> list[ChangedFile]:
    """Return committed files with *names*."""
    return [
        ChangedFile(name=name, path=f"{FILES_DIR}/{name}", digest=bytes(32), kind=Kind.DATA)
        for name in names
    ]


def has_zombie() -> bool:
    """Whether a child of this process ended and was not reaped."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    except ChildProcessError:
        return False
    return found is not None


@define
class Fifo:
    """A fifo that programs write to; read here."""

    path: str
    fd: int

    def read_line(self) -> bytes:
        """Wait for a line of one program."""
        select.select([self.fd], [], [])
        return os.read(self.fd, 4096)

    def wait_for_end(self) -> None:
        """Wait until no process holds it open: all that did have ended."""
        os.set_blocking(self.fd, True)
        while os.read(self.fd, 4096):
            pass

    def readable(self) -> bool:
        """Whether a program wrote, or all that had it open ended."""
        return bool(select.select([self.fd], [], [], 0)[0])


@pytest.fixture(name="fifo")
def _fifo(tmp_path: Path) -> Iterator[Fifo]:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield Fifo(str(path), fd)
    os.close(fd)


@pytest.fixture(name="time_is_up_once_started")
def _time_is_up_once_started(fifo: Fifo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass until a program wrote to the fifo, and then more than enough."""

    def monotonic() -> float:
        return 1e9 if fifo.readable() else 0.0

    monkeypatch.setattr(_program, "time", SimpleNamespace(monotonic=monotonic))


@contextmanager
def free_descriptors(count: int) -> Iterator[None]:
    """Leave this process *count* file descriptors."""
    spare: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    while not spare or spare[-1] < highest:  # Fill the gaps.
        spare.append(os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(highest, spare[-1]) + 1 + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in spare:
            os.close(fd)


@contextmanager
def standard_input(data: bytes) -> Iterator[None]:
    """Let *data* be what this process, and who inherits from it, reads."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    before = os.dup(0)
    os.dup2(reader, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(reader)


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


# Programs that do not start


@pytest.fixture(name="unusable", params=["missing", "not executable", "directory", "no format"])
def _unusable(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    path = tmp_path / "program"
    if request.param == "directory":
        path.mkdir()
    elif request.param != "missing":
        path.write_text("no #! line")
        path.chmod(0o755 if request.param == "no format" else 0o644)
    return str(path)


def test_a_program_that_cannot_start_is_the_operators_fault(unusable: str) -> None:
    """A check is then unavailable and an action misconfigured; neither blames the file."""
    daemon = command_daemon(check=[unusable], reload=[unusable])
    check, action = daemon.check("/staged", "a"), daemon.reload([], 60)
    assert isinstance(check, CheckUnavailable)
    assert check.why.startswith(f"{unusable} cannot be run: ")
    assert action == Misconfigured(check.why)


def test_a_name_that_is_no_argument_does_not_escape_as_an_error() -> None:
    """What the system cannot pass to a program is told as any other failure to start it."""
    daemon = command_daemon(check=["true", "{name}"], reload=["true", "{name}"])
    for name in ("a\0b", "\ud800"):
        assert isinstance(daemon.check("/staged", name), CheckUnavailable)
        assert isinstance(daemon.reload(changed(name), 60), Misconfigured)


@pytest.mark.parametrize("free", [0, 1])
def test_lack_of_descriptors_passes(free: int) -> None:
    """What may be possible later is not called misconfigured."""
    daemon = command_daemon(check=["true"], reload=["true"])
    daemon.reload([], 60)  # Finds the directory for temporary files.
    with free_descriptors(free):
        check, action = daemon.check("/staged", "a"), daemon.reload([], 60)
    assert isinstance(check, CheckUnavailable)
    assert "Too many open files" in check.why
    assert action == Unreachable(check.why)


def test_without_a_place_for_output_nothing_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A missing directory for temporary files is not taken for a missing program."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    assert command_daemon(reload=["true"]).reload([], 60) == Unreachable(
        "true cannot be run: no temporary file for its output: No such file or directory"
    )


# What a program gets


@pytest.mark.parametrize(
    "name",
    [
        "a b.conf",
        "-rf",
        "{dir}",
        "{path}{name}",
        "{0}%s\\1\\g<0>",
        "$(reboot)`reboot`;'\"\\ *",
        "é\u2028\n",
        "",
    ],
)
def test_a_file_name_is_one_argument_as_it_is(name: str, tmp_path: Path) -> None:
    """Nothing in a file name is expanded, split or taken for a placeholder."""
    log = tmp_path / "log"
    given_path = f"/{name}.tmp"
    arguments = ["{name}", "{path}", "--file={name}", "{name}{dir}{name}"]
    daemon = command_daemon(check=shell(f"{RECORD} {log}", *arguments))
    assert daemon.check(given_path, name) == CheckPassed()
    assert log.read_text().split("\0")[:-1] == [
        *(name, given_path, f"--file={name}", f"{name}{FILES_DIR}{name}")
    ]


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), max_size=4))
def test_arguments_without_placeholders_pass_unchanged(arguments: list[str]) -> None:
    """Braces that are no placeholder stay, so that an argument may be JSON."""
    try:
        command = _command._Command(_command._arguments("check", ["program", *arguments]))
    except ValueError as exc:
        assert "unknown placeholder" in str(exc)  # noqa: PT017 - either is fine.
        return
    values = dict.fromkeys(("path", "name", "dir"), "x")
    for before, after in zip(arguments, command.fill(values)[1:], strict=True):
        assert after == before.replace("{path}", "x").replace("{name}", "x").replace("{dir}", "x")


def test_lone_braces_pass_untouched(tmp_path: Path) -> None:
    """JSON, ``find``'s braces and ``awk``'s are no placeholders."""
    log = tmp_path / "log"
    braces = ['{"a": {"b": 1}}', "{}", "{", "}{", "{ print }", "{1}"]
    daemon = command_daemon(check=shell(f"{RECORD} {log}", *braces, "{{name}}"))
    assert daemon.check("/staged", "a") == CheckPassed()
    assert log.read_text().split("\0")[:-1] == [*braces, "{a}"]


def test_a_program_has_its_own_session_and_no_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program leads its process group, starts in ``/``, reads nothing, knows the environment."""
    log = tmp_path / "log"
    monkeypatch.setenv("FILESYNC_TEST", "inherited")
    script = """\
        read -r line
        echo "$? $(pwd) $FILESYNC_TEST" >"$1"
        cut -d" " -f1,5,6 /proc/$$/stat >>"$1"
    """
    daemon = command_daemon(check=shell(script, str(log)))
    with standard_input(b"a line\n"):
        assert daemon.check("/staged", "a") == CheckPassed()
    first, second = log.read_text().splitlines()
    assert first == "1 / inherited"
    pid, group, session = second.split()
    assert pid == group == session


# What is kept of the output


def test_only_the_end_of_the_output_is_kept() -> None:
    """Of much output the last 4 KiB are told, and that something is left out."""
    script = "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i + 1)); done; exit 1"
    result = command_daemon(check=shell(script)).check("/staged", "a")
    assert isinstance(result, CheckFailed)
    prefix, kept = result.why.split("…")
    assert prefix == "/bin/sh exited with status 1: "
    assert ("\n".join(map(str, range(3000))) + "\n").encode()[-4096:] == (
        kept.replace(" / ", "\n") + "\n"
    ).encode()


def test_a_line_whose_beginning_is_cut_off_names_no_missing_file() -> None:
    """The first line that is kept may be the rest of any line."""
    script = "printf 'not missing: a'; printf '%4085d\\n'; exit 75"
    result = command_daemon(check=shell(script)).check("/staged", "a")
    assert isinstance(result, CheckFailed)
    assert "…missing: a" in result.why
    assert result.missing == ("?",)


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        (r"a\nb\n\n  c\n", "a / b / c"),
        (r"a\r\nb\r\n", "a / b"),
        (r"\033[31mred\033[0m\007", r"\x1b[31mred\x1b[0m\x07"),
        (r"a\tb\rc\000", r"a\tb\rc\x00"),
        (r"\303\251\377\342\200\256", "é\\xff\\u202e"),
        (r" \n\n", ""),
    ],
)
def test_output_is_told_in_one_printable_line(printed: str, told: str) -> None:
    """Nothing that a program prints breaks a line of a log, or a terminal."""
    result = command_daemon(check=shell(f"printf '{printed}'; exit 1")).check("/staged", "a")
    why = "/bin/sh exited with status 1"
    assert result == CheckFailed(f"{why}: {told}" if told else why)


# What is left behind


def test_a_daemon_that_a_reload_started_lives_on(fifo: Fifo, tmp_path: Path) -> None:
    """A child that keeps the output open holds nobody up, and nobody kills it."""
    speak = tmp_path / "speak"
    os.mkfifo(speak)
    script = 'exec 3>"$1"; { echo up; read -r line <"$2"; echo "$line" >&3; } & exit 0'
    daemon = command_daemon(reload=shell(script, fifo.path, str(speak)))
    assert isinstance(daemon.reload([], 60), Assumed)
    speak.write_text("hello\n")  # Waits for its reader.
    assert fifo.read_line() == b"hello\n"
    fifo.wait_for_end()


def test_many_runs_leave_nothing_behind() -> None:
    """A hundred runs of each kind leak no descriptor, no process and no thread."""
    daemon = command_daemon(check=["true"], reload=["false"], renew=["/gone"])
    for run in RUNS.values():  # Opens what stays open.
        run(daemon)
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(100):
        for run in RUNS.values():
            run(daemon)
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
    assert not has_zombie()


@pytest.mark.usefixtures("time_is_up_once_started")
@pytest.mark.parametrize("denied", [True, False])
def test_a_program_that_cannot_be_killed_is_reaped_later(
    denied: bool,
    fifo: Fifo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that became another user, or hangs in the kernel, holds nobody up."""
    speak = tmp_path / "speak"
    os.mkfifo(speak)
    hold = os.open(speak, os.O_RDWR)

    def killpg(_group: int, _signal: int) -> None:
        if denied:
            raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(_program, "_KILL_TIMEOUT", 0.0)
    script = 'exec 3>"$1"; echo up >&3; read -r line <"$2"'
    daemon = command_daemon(check=["true"], reload=shell(script, fifo.path, str(speak)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "killpg", killpg)
        result = daemon.reload([], 60)
    why = "Operation not permitted" if denied else "the kernel does not let it go"
    assert result == Unknown(
        f"/bin/sh did not end within 60 s and cannot be killed ({why}): it may still be running"
    )
    fifo.read_line()
    assert daemon.check("/staged", "a") == CheckPassed()
    assert not has_zombie()
    (process,) = daemon._programs._abandoned
    os.write(hold, b"end\n")
    os.close(hold)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert daemon.check("/staged", "a") == CheckPassed()
    assert not daemon._programs._abandoned
    assert not has_zombie()


def test_a_lost_exit_status_is_not_taken_for_success() -> None:
    """Where children are reaped by somebody else, nothing is assumed."""
    daemon = command_daemon(check=["true"], reload=["true"])
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        check, action = daemon.check("/staged", "a"), daemon.reload([], 60)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert isinstance(check, CheckUnavailable)
    assert "its exit status was lost" in check.why
    assert action == Unknown(check.why)


# Stopping


@pytest.mark.parametrize(
    ("kind", "expected"), [("check", CheckUnavailable), ("reload", Unknown), ("renew", Unknown)]
)
def test_stop_ends_what_runs(kind: str, expected: type, fifo: Fifo) -> None:
    """A running program is killed with its children, and its end says nothing about the files."""
    daemon = command_daemon(**{kind: shell(STUBBORN, fifo.path)})
    results: list[object] = []
    runner = threading.Thread(target=lambda: results.append(RUNS[kind](daemon)))
    runner.start()
    assert fifo.read_line() == b"started\n"
    daemon.stop()
    runner.join()
    fifo.wait_for_end()
    assert results == [
        expected(
            "/bin/sh was still running when filesync stopped and was killed: waiting for a lock"
        )
    ]
    assert not has_zombie()


def test_after_stop_nothing_starts() -> None:
    """What was not asked may be asked another time; without a command nothing changes."""
    daemon = command_daemon(check=["true"], reload=["true"])
    daemon.stop()
    daemon.stop()
    assert daemon.check("/staged", "a") == CheckUnavailable(
        "true cannot be run: filesync is stopping"
    )
    assert daemon.reload([], 60) == Unreachable("true cannot be run: filesync is stopping")


# Options


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("chekc", ["true"], "unknown option 'chekc'; did you mean check?"),
        ("check_timeout", 1, "unknown option 'check_timeout'; did you mean check-timeout?"),
        ("shell", 1, "unknown option 'shell'; known here: check, reload, renew, check-timeout"),
        (7, 1, "unknown option '7'; known here: "),
        ("check", "rndc reload", "check: must be a list of texts such as [rndc, check]; not 'rn"),
        ("reload", None, "reload: must be a list of texts such as [rndc, reload]; not 'None'"),
        ("reload", {"a": 1}, "reload: must be a list of texts"),
        ("renew", [], "renew: must be a list of texts such as [rndc, renew]; leave it out"),
        (
            "renew",
            ["rndc", 953],
            "renew: must be a list of texts such as [rndc, renew]; put quotes",
        ),
        ("renew", ["rndc", ["a"]], "renew: must be a list of texts"),
        ("renew", b"rndc", "renew: must be a list of texts"),
        ("check", [""], "check: '' cannot be the program to run"),
        ("check", ["{path}"], "check: '{path}' cannot be the program to run"),
        ("renew", ["/bin/{name}"], "renew: '/bin/{name}' cannot be the program to run"),
        ("check", ["a", "b\0"], "check: 'b\\x00' cannot be an argument of a program"),
        ("check", ["a", "\ud800"], "check: '\\ud800' cannot be an argument of a program"),
        ("check", ["a", "--file={pth}"], "check: unknown placeholder in '--file={pth}'; did you "),
        ("check", ["a", "{Path}"], "check: unknown placeholder in '{Path}'; did you mean {path}?"),
        ("check", ["a", "{file}"], "check: unknown placeholder in '{file}'; known here: {path}, "),
        ("reload", ["a", "${HOME}"], "reload: unknown placeholder in '${HOME}'; "),
        ("check-timeout", 0, "check-timeout: must be seconds, or a duration such as 500ms, 5s"),
        ("check-timeout", -1, "check-timeout: must be seconds"),
        ("check-timeout", True, "check-timeout: must be seconds"),
        ("check-timeout", None, "check-timeout: must be seconds"),
        ("check-timeout", "5 days", "check-timeout: must be seconds"),
        ("check-timeout", math.nan, "check-timeout: must be seconds"),
        ("check-timeout", math.inf, "check-timeout: must be seconds"),
        ("check-timeout", "9" * 400, "check-timeout: must be seconds"),
        ("check-timeout", "169h", "check-timeout: must be seconds"),
    ],
)
def test_unusable_options_are_refused(option: Any, value: Any, said: str) -> None:
    """The message names the option, what is wrong with it, and what was meant."""
    with pytest.raises(ValueError, match=r".") as caught:
        open_command_daemon({option: value}, files_dir=FILES_DIR)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(5, 5.0), (0.5, 0.5), ("5", 5.0), ("5s", 5.0), ("250ms", 0.25), ("1.5 m", 90.0), ("1h", 3600)],
)
def test_a_time_limit_is_a_number_or_a_duration(value: object, seconds: float) -> None:
    """Durations are written as everywhere in the settings."""
    assert command_daemon(check_timeout=value)._check_timeout == seconds


def test_the_time_limit_of_a_check_is_a_minute_by_default() -> None:
    """Who sets none gets one that ends."""
    assert command_daemon()._check_timeout == 60


def test_files_dir_is_not_a_template() -> None:
    """Braces in the name of files-dir are no placeholders."""
    options = {"check": shell('[ "$1" = "$2$3" ]', "{dir}", "/srv/{", "name}")}
    daemon = open_command_daemon(options, files_dir="/srv/{name}")
    assert daemon.check("/staged", "a") == CheckPassed()


def test_the_reference_page_is_right() -> None:
    """Its example can be used, and it lists every option and every placeholder."""
    page = Path(__file__).parents[2].joinpath("docs/reference/command-daemon.md").read_text()
    example = yaml.safe_load(page.split("```yaml")[1].split("```")[0])["filesync"]["daemon"]
    assert example.pop("adapter") == "command"
    assert set(example) == set(_command._OPTIONS)
    open_command_daemon(example, files_dir=FILES_DIR)
    for word in (*_command._OPTIONS, *(f"{{{name}}}" for name in _command._PLACEHOLDERS)):
        assert f"| `{word}` |" in page
