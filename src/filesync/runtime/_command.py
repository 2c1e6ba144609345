"""
The `command` daemon: any daemon, served by the programs that it brings along.

Theory. Three argument lists, no shell. What a program's end means is decided
in `_judge_check` and `_judge_action`; everything else only finds out how it
ended. An exit status proves nothing, so no action is ever *served*: 0 is
*assumed*.

A program runs in a process group of its own. At its time limit the group is
killed, whatever it ignores. A program that ended in time leaves the rest of
its group alone: a reload may well have started a daemon. Only the program
itself is waited for, and its output is a file, not a pipe: so a daemon that
keeps the output open holds nobody up.

Source: docs/reference/command-daemon.md.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from filesync._model import ChangedFile
from filesync._setting_checks import MAX_SECONDS
from filesync._wording import shown, suggestion
from filesync.daemon import (
    ActionResult,
    Assumed,
    CheckFailed,
    CheckPassed,
    CheckResult,
    CheckUnavailable,
    Misconfigured,
    Refused,
    Unknown,
    Unreachable,
)

__all__ = ["CommandDaemon", "open_command_daemon"]

_COMMANDS = ("check", "reload", "renew")
_TIMEOUT = "check-timeout"
_OPTIONS = (*_COMMANDS, _TIMEOUT)

#: Seconds that a check may take when nothing else is said.
_CHECK_TIMEOUT = 60.0

#: Other braces are left alone: arguments may be JSON.
_PLACEHOLDER = re.compile(r"\{([A-Za-z][A-Za-z0-9_-]*)\}")
_PER_FILE = ("path", "name")
_PLACEHOLDERS = (*_PER_FILE, "dir")

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(ms|s|m|h)?")
_UNITS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

#: Source: sysexits.h, EX_TEMPFAIL: "try again later".
_TRY_LATER = 75

#: At the end of a service, or when memory is short, these hit a checker whose
#: file is fine. Any other signal is its own crash over the file.
_FROM_OUTSIDE = frozenset({signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM})

#: Errors of starting a program that pass without the operator.
_PASSING = frozenset(
    {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.ETXTBSY}
)

#: Bytes of a program's output that are kept: the last ones.
_OUTPUT_BYTES = 4096

_MISSING = "missing: "

#: Seconds between two looks at a running program: the first pause, the longest.
_PAUSES = (0.001, 0.05)

#: Seconds until a killed program must be gone; one in an uninterruptible wait is not.
_KILL_TIMEOUT = 2.0


@frozen
class _Exited:
    """The program ended by itself."""

    status: int

    def __str__(self) -> str:
        return f"exited with status {self.status}"


@frozen
class _Signalled:
    """A signal that we did not send ended the program."""

    number: int

    def __str__(self) -> str:
        return f"was ended by signal {self.number} ({signal.strsignal(self.number)})"


@frozen
class _Expired:
    """The program did not end within *seconds*; *fate* says what was done about it."""

    seconds: float
    fate: str

    def __str__(self) -> str:
        return f"did not end within {self.seconds:g} s and {self.fate}"


@frozen
class _Stopped:
    """`CommandDaemon.stop` ended the program; *fate* says how."""

    fate: str

    def __str__(self) -> str:
        return f"was still running when filesync stopped and {self.fate}"


@frozen
class _Lost:
    """The program ended; how cannot be known."""

    def __str__(self) -> str:
        return (
            "ended, but its exit status was lost: "
            "something in this process ignores SIGCHLD or waits for all children"
        )


@frozen
class _NotStarted:
    """The program did not start; *passing* if it may another time, without a change."""

    why: str
    passing: bool

    def __str__(self) -> str:
        return f"cannot be run: {self.why}"


_End = _Exited | _Signalled | _Expired | _Stopped | _Lost | _NotStarted


@frozen
class _Run:
    """
    One run of one program.

    Attributes:
        label: The program, and for which file it ran.
        end: How it ended.
        output: The end of what it printed; printable characters and newlines.
    """

    label: str
    end: _End
    output: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The files that the program said are missing; ``?`` if it named none."""
        names = (
            line.removeprefix(_MISSING).strip()
            for line in self.output.splitlines()
            if line.startswith(_MISSING)
        )
        return tuple(filter(None, names)) or ("?",)

    def __str__(self) -> str:
        lines = filter(None, map(str.strip, self.output.splitlines()))
        return ": ".join(filter(None, (f"{self.label} {self.end}", " / ".join(lines))))


def _judge_check(run: _Run) -> CheckResult:
    match run.end:
        case _Exited(0):
            return CheckPassed()
        case _Exited(status) if status == _TRY_LATER:
            return CheckFailed(str(run), missing=run.missing)
        case _Signalled(number) if number in _FROM_OUTSIDE:
            return CheckUnavailable(str(run))
        case _Exited() | _Signalled() | _Expired():
            return CheckFailed(str(run))
        case _Stopped() | _Lost() | _NotStarted():  # pragma: no branch - nothing else is left.
            return CheckUnavailable(str(run))


def _judge_action(run: _Run) -> ActionResult:
    match run.end:
        case _Exited(0):
            return Assumed(f"{run.label} {run.end}; it cannot prove more")
        case _Exited(status) if status == _TRY_LATER:
            return Unreachable(str(run))
        case _Exited():
            return Refused(str(run))
        case _Signalled() | _Expired() | _Stopped() | _Lost():
            return Unknown(str(run))
        case _NotStarted(passing=True):
            return Unreachable(str(run))
        case _NotStarted():  # pragma: no branch - nothing else is left.
            return Misconfigured(str(run))


@frozen
class _Command:
    """The argument list of one option; every placeholder in it is known."""

    arguments: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.arguments[0]

    @property
    def per_file(self) -> bool:
        """Whether it runs once for each file."""
        found = (_PLACEHOLDER.findall(argument) for argument in self.arguments)
        return any(name in _PER_FILE for names in found for name in names)

    def fill(self, values: Mapping[str, str]) -> list[str]:
        """Return the arguments with *values* in place; what a value holds is left alone."""
        return [
            _PLACEHOLDER.sub(lambda match: values[match[1]], argument)
            for argument in self.arguments
        ]


@frozen
class _Limit:
    """
    How long a check or an action may take as a whole.

    Attributes:
        seconds: For messages.
        at: The instant when it is over, in monotonic seconds.
    """

    seconds: float
    at: float

    @property
    def left(self) -> float:
        return self.at - time.monotonic()


def _starting_now(seconds: float) -> _Limit:
    return _Limit(seconds, time.monotonic() + seconds)


class CommandDaemon:
    """
    A daemon that is checked, reloaded and renewed by programs.

    `stop` may be called from any thread; the other methods as `Daemon` says.
    `open_command_daemon` builds it.

    Args:
        commands: By option: ``check``, ``reload``, ``renew``, each may be absent.
        files_dir: What ``{dir}`` stands for.
        check_timeout: Seconds that a check may take, above 0.
    """

    def __init__(
        self, commands: Mapping[str, _Command], *, files_dir: str, check_timeout: float
    ) -> None:
        self._commands = commands
        self._files_dir = files_dir
        self._check_timeout = check_timeout
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: Programs that outlived their killing, to be reaped when they end.
        self._abandoned: list[subprocess.Popen[bytes]] = []

    def check(self, staged: str, name: str) -> CheckResult:
        """
        Let the ``check`` command judge the file at path *staged*, which will be *name*.

        Exit status 75 says that files are missing that *staged* refers to.
        Lines of its output that start with ``missing: `` name them; without
        such a line `CheckFailed.missing` is ``("?",)``, so that it is not empty.
        """
        command = self._commands.get("check")
        if command is None:
            return CheckPassed()
        limit = _starting_now(self._check_timeout)
        values = {"path": staged, "name": name, "dir": self._files_dir}
        return _judge_check(self._run(command, values, limit))

    def reload(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Run the ``reload`` command, for at most *timeout* seconds in all."""
        return self._act("reload", self._commands.get("reload"), changed, timeout)

    def renew(self, changed: Sequence[ChangedFile], timeout: float) -> ActionResult:
        """Run the ``renew`` command, or else ``reload``, which covers it, as `reload` does."""
        command = self._commands.get("renew", self._commands.get("reload"))
        return self._act("renew", command, changed, timeout)

    def stop(self) -> None:
        """Kill what runs, and start nothing any more. From any thread; returns at once."""
        self._stopping.set()

    def _act(
        self,
        option: str,
        command: _Command | None,
        changed: Sequence[ChangedFile],
        timeout: float,
    ) -> ActionResult:
        if command is None:
            return Assumed(f"no {option} command is configured")
        limit = _starting_now(timeout)
        if not command.per_file:
            return _judge_action(self._run(command, {"dir": self._files_dir}, limit))
        result: ActionResult = Assumed(f"no file to run {command.program} for")
        for file in changed:
            values = {"path": file.path, "name": file.name, "dir": self._files_dir}
            result = _judge_action(self._run(command, values, limit))
            if not isinstance(result, Assumed):
                break
        return result

    def _run(self, command: _Command, values: Mapping[str, str], limit: _Limit) -> _Run:
        arguments = command.fill(values)
        label = arguments[0]
        if command.per_file:
            label = f"{label} for {values['name']}"
        if self._stopping.is_set():
            return _Run(label, _NotStarted("filesync is stopping", passing=True))
        if limit.left <= 0:
            return _Run(label, _NotStarted("the time for the whole action is up", passing=True))
        self._reap()
        try:
            with tempfile.TemporaryFile(buffering=0) as output:
                end = self._start_and_wait(arguments, output.fileno(), limit)
                return _Run(label, end, _last_output(output.fileno()))
        except OSError as exc:
            why = f"no temporary file for its output: {exc.strerror}"
            return _Run(label, _NotStarted(why, passing=True))

    def _start_and_wait(self, arguments: list[str], output: int, limit: _Limit) -> _End:
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell; the operator's own arguments.
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as exc:
            return _NotStarted(exc.strerror or str(exc), passing=exc.errno in _PASSING)
        except ValueError as exc:  # A name that is no argument: NUL, half a surrogate pair.
            return _NotStarted(str(exc), passing=False)
        pause, longest = _PAUSES
        # Looks without reaping: as long as it is not reaped, nobody else gets
        # its number, and no stranger is killed.
        while True:
            try:
                found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            except ChildProcessError:
                process.wait()
                return _Lost()
            if found is not None:
                process.wait()
                exited = found.si_code == os.CLD_EXITED
                return _Exited(found.si_status) if exited else _Signalled(found.si_status)
            left = limit.left
            if left <= 0:
                return _Expired(limit.seconds, self._kill(process))
            if self._stopping.wait(min(pause, left)):
                return _Stopped(self._kill(process))
            pause = min(2 * pause, longest)

    def _kill(self, process: subprocess.Popen[bytes]) -> str:
        """Kill the process group of *process*; return what became of it."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_KILL_TIMEOUT)
        except OSError as exc:  # It changed its user: sudo does.
            why = exc.strerror
        except subprocess.TimeoutExpired:
            why = "the kernel does not let it go"
        else:
            return "was killed"
        with self._lock:
            self._abandoned.append(process)
        return f"cannot be killed ({why}): it may still be running"

    def _reap(self) -> None:
        with self._lock:
            self._abandoned = [process for process in self._abandoned if process.poll() is None]


def _last_output(fd: int) -> str:
    size = os.fstat(fd).st_size
    # Reading must not move the offset: a daemon may still write there.
    data = os.pread(fd, _OUTPUT_BYTES, max(0, size - _OUTPUT_BYTES))
    text = data.decode(errors="backslashreplace")
    printable = (
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode()
        for character in text.replace("\r\n", "\n")
    )
    return "".join(printable) if size <= _OUTPUT_BYTES else f"…{''.join(printable)}"


def open_command_daemon(options: Mapping[str, Any], *, files_dir: str) -> CommandDaemon:
    """
    Return the daemon that *options* describe. Runs nothing.

    Args:
        options: ``check``, ``reload``, ``renew``: argument lists;
            ``check-timeout``: seconds, or text such as ``5s``.
        files_dir: Absolute path of files-dir.

    Raises:
        ValueError: An option is unknown or cannot be used; the message names it.

    Source: docs/reference/command-daemon.md.
    """
    for option in options:
        if option not in _OPTIONS:
            hint = suggestion(str(option), _OPTIONS) or f"known here: {', '.join(_OPTIONS)}"
            raise ValueError(f"unknown option {shown(str(option))}; {hint}")
    commands = {
        option: _Command(_arguments(option, options[option]))
        for option in _COMMANDS
        if option in options
    }
    check_timeout = _seconds(options.get(_TIMEOUT, _CHECK_TIMEOUT))
    return CommandDaemon(commands, files_dir=files_dir, check_timeout=check_timeout)


def _arguments(option: str, value: Any) -> tuple[str, ...]:
    example = f"a list of texts such as [rndc, {option}]"
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    if not is_list:
        raise ValueError(f"{option}: must be {example}; not {shown(str(value))}")
    if not value:
        raise ValueError(f"{option}: must be {example}; leave it out to run nothing")
    other = [argument for argument in value if not isinstance(argument, str)]
    if other:
        raise ValueError(f"{option}: must be {example}; put quotes around {shown(str(other[0]))}")
    for argument in value:
        _check_argument(option, argument)
    program = value[0]
    if not program or any(name in _PER_FILE for name in _PLACEHOLDER.findall(program)):
        # What a sender pushed is data; it must never become the program.
        raise ValueError(f"{option}: {shown(program)} cannot be the program to run")
    return tuple(value)


def _check_argument(option: str, argument: str) -> None:
    for name in _PLACEHOLDER.findall(argument):
        if name not in _PLACEHOLDERS:
            known = [f"{{{placeholder}}}" for placeholder in _PLACEHOLDERS]
            hint = suggestion(f"{{{name}}}", known) or f"known here: {', '.join(known)}"
            raise ValueError(f"{option}: unknown placeholder in {shown(argument)}; {hint}")
    try:
        usable = b"\0" not in os.fsencode(argument)
    except UnicodeEncodeError:
        usable = False
    if not usable:
        raise ValueError(f"{option}: {shown(argument)} cannot be an argument of a program")


def _seconds(value: Any) -> float:
    match = _DURATION.fullmatch(str(value))
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(
            f"{_TIMEOUT}: must be seconds, or a duration such as 500ms, 5s or 2m, above 0 "
            f"and at most one week; not {shown(str(value))}"
        )
    return seconds
