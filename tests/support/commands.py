"""Programs for the `command` daemon to run, and a fifo that tells of them."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Any

from attrs import define

from filesync._model import ChangedFile, Kind
from filesync.runtime._command import CommandDaemon, open_command_daemon

__all__ = [
    "FILES_DIR",
    "RUNS",
    "STUBBORN",
    "Fifo",
    "changed",
    "command_daemon",
    "has_zombie",
    "shell",
]

FILES_DIR = "/srv/files"

#: Tells the fifo ``$1`` that it runs, twice over, and then ignores what it can.
STUBBORN = """\
trap '' TERM INT HUP
exec 3>"$1"
echo waiting for a lock
(echo started >&3; sleep 1000) &
wait
"""

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
