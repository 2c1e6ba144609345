"""
Runs one program at a time limit, and finds out how it ended.

A program runs in a process group of its own. At its time limit the group is
killed, whatever it ignores. A program that ended in time leaves the rest of
its group alone: a reload may well have started a daemon. Only the program
itself is waited for, and its output is a file, not a pipe: so a daemon that
keeps the output open holds nobody up.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import tempfile
import threading
import time

from attrs import frozen

__all__ = [
    "End",
    "Exited",
    "Expired",
    "Limit",
    "Lost",
    "NotStarted",
    "Programs",
    "Run",
    "Signalled",
    "Stopped",
    "starting_now",
]

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
class Exited:
    """The program ended by itself."""

    status: int

    def __str__(self) -> str:
        return f"exited with status {self.status}"


@frozen
class Signalled:
    """A signal that we did not send ended the program."""

    number: int

    def __str__(self) -> str:
        return f"was ended by signal {self.number} ({signal.strsignal(self.number)})"


@frozen
class Expired:
    """The program did not end within *seconds*; *fate* says what was done about it."""

    seconds: float
    fate: str

    def __str__(self) -> str:
        return f"did not end within {self.seconds:g} s and {self.fate}"


@frozen
class Stopped:
    """`CommandDaemon.stop` ended the program; *fate* says how."""

    fate: str

    def __str__(self) -> str:
        return f"was still running when filesync stopped and {self.fate}"


@frozen
class Lost:
    """The program ended; how cannot be known."""

    def __str__(self) -> str:
        return (
            "ended, but its exit status was lost: "
            "something in this process ignores SIGCHLD or waits for all children"
        )


@frozen
class NotStarted:
    """The program did not start; *passing* if it may another time, without a change."""

    why: str
    passing: bool

    def __str__(self) -> str:
        return f"cannot be run: {self.why}"


End = Exited | Signalled | Expired | Stopped | Lost | NotStarted


@frozen
class Run:
    """
    One run of one program.

    Attributes:
        label: The program, and for which file it ran.
        end: How it ended.
        output: The end of what it printed; printable characters and newlines.
    """

    label: str
    end: End
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


@frozen
class Limit:
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


def starting_now(seconds: float) -> Limit:
    return Limit(seconds, time.monotonic() + seconds)


class Programs:
    """The programs that run, and those that would not die."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: Programs that outlived their killing, to be reaped when they end.
        self._abandoned: list[subprocess.Popen[bytes]] = []

    def stop(self) -> None:
        """Kill what runs, and start nothing any more. From any thread; returns at once."""
        self._stopping.set()

    def run(self, label: str, arguments: list[str], limit: Limit) -> Run:
        """Run a program to its end, or to *limit*; *label* is for messages."""
        if self._stopping.is_set():
            return Run(label, NotStarted("filesync is stopping", passing=True))
        if limit.left <= 0:
            return Run(label, NotStarted("the time for the whole action is up", passing=True))
        self._reap()
        try:
            with tempfile.TemporaryFile(buffering=0) as output:
                end = self._start_and_wait(arguments, output.fileno(), limit)
                return Run(label, end, _last_output(output.fileno()))
        except OSError as exc:
            why = f"no temporary file for its output: {exc.strerror}"
            return Run(label, NotStarted(why, passing=True))

    def _start_and_wait(self, arguments: list[str], output: int, limit: Limit) -> End:
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
            return NotStarted(exc.strerror or str(exc), passing=exc.errno in _PASSING)
        except ValueError as exc:  # A name that is no argument: NUL, half a surrogate pair.
            return NotStarted(str(exc), passing=False)
        pause, longest = _PAUSES
        # Looks without reaping: as long as it is not reaped, nobody else gets
        # its number, and no stranger is killed.
        while True:
            try:
                found = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            except ChildProcessError:
                process.wait()
                return Lost()
            if found is not None:
                process.wait()
                exited = found.si_code == os.CLD_EXITED
                return Exited(found.si_status) if exited else Signalled(found.si_status)
            left = limit.left
            if left <= 0:
                return Expired(limit.seconds, self._kill(process))
            if self._stopping.wait(min(pause, left)):
                return Stopped(self._kill(process))
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
