"""The programs of the `command` daemon: what they get, what is kept of them, how they are ended."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync.daemon import (
    Assumed,
    CheckFailed,
    CheckPassed,
    CheckUnavailable,
    Misconfigured,
    Unknown,
    Unreachable,
)
from filesync.runtime import _command, _program
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

#: Writes its arguments to the file whose name follows.
RECORD = 'printf "%s\\0" "$@" >'


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
