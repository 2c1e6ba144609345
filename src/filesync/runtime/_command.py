"""
The `command` daemon: any daemon, served by the programs that it brings along.

Theory. Three argument lists, no shell. What a program's end means is decided
in `_judge_check` and `_judge_action`; everything else only finds out how it
ended. An exit status proves nothing, so no action is ever *served*: 0 is
*assumed*.

How a program is run and ended is told in `filesync.runtime._program`.

Source: docs/reference/command-daemon.md.
"""

from __future__ import annotations

import os
import re
import signal
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
from filesync.runtime._program import (
    Exited,
    Expired,
    Limit,
    Lost,
    NotStarted,
    Programs,
    Run,
    Signalled,
    Stopped,
    starting_now,
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


def _judge_check(run: Run) -> CheckResult:
    match run.end:
        case Exited(0):
            return CheckPassed()
        case Exited(status) if status == _TRY_LATER:
            return CheckFailed(str(run), missing=run.missing)
        case Signalled(number) if number in _FROM_OUTSIDE:
            return CheckUnavailable(str(run))
        case Exited() | Signalled() | Expired():
            return CheckFailed(str(run))
        case Stopped() | Lost() | NotStarted():  # pragma: no branch - nothing else is left.
            return CheckUnavailable(str(run))


def _judge_action(run: Run) -> ActionResult:
    match run.end:
        case Exited(0):
            return Assumed(f"{run.label} {run.end}; it cannot prove more")
        case Exited(status) if status == _TRY_LATER:
            return Unreachable(str(run))
        case Exited():
            return Refused(str(run))
        case Signalled() | Expired() | Stopped() | Lost():
            return Unknown(str(run))
        case NotStarted(passing=True):
            return Unreachable(str(run))
        case NotStarted():  # pragma: no branch - nothing else is left.
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
        self._programs = Programs()

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
        limit = starting_now(self._check_timeout)
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
        self._programs.stop()

    def _act(
        self,
        option: str,
        command: _Command | None,
        changed: Sequence[ChangedFile],
        timeout: float,
    ) -> ActionResult:
        if command is None:
            return Assumed(f"no {option} command is configured")
        limit = starting_now(timeout)
        if not command.per_file:
            return _judge_action(self._run(command, {"dir": self._files_dir}, limit))
        result: ActionResult = Assumed(f"no file to run {command.program} for")
        for file in changed:
            values = {"path": file.path, "name": file.name, "dir": self._files_dir}
            result = _judge_action(self._run(command, values, limit))
            if not isinstance(result, Assumed):
                break
        return result

    def _run(self, command: _Command, values: Mapping[str, str], limit: Limit) -> Run:
        arguments = command.fill(values)
        label = arguments[0]
        if command.per_file:
            label = f"{label} for {values['name']}"
        return self._programs.run(label, arguments, limit)


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
