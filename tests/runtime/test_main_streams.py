"""The command line where nobody can read what it prints: it works, and its status is true."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.place import Place

#: What a shell does with the streams; the pipe to "gone" has no reader.
REDIRECTIONS = {
    "pipe": ">&3",
    "pipe of both": ">&3 2>&3",
    "full": ">/dev/full",
    "both full": ">/dev/full 2>/dev/full",
    "closed": ">&-",
    "error closed": "2>&-",
    "all closed": "<&- >&- 2>&-",
}


def run(place: Place, redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run filesync with its streams redirected, 3 being a pipe without a reader."""
    reading, writing = os.pipe()
    os.close(reading)
    script = f'exec 3>&0 </dev/null; exec "$@" {redirection} 3>&-'
    program = [sys.executable, "-W", "error", "-m", "filesync"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(place.packages), *filter(None, sys.path)]),
        "PYTHONUNBUFFERED": "",  # As it is for people: what is left is written at the end.
    }
    try:
        return subprocess.run(
            ["sh", "-c", script, "sh", *program, *arguments],
            env=environment,
            stdin=writing,  # A number above 9 is none for a shell.
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        os.close(writing)


@pytest.mark.parametrize("redirection", REDIRECTIONS.values(), ids=REDIRECTIONS)
def test_publishing_goes_on_when_nothing_can_be_printed(place: Place, redirection: str) -> None:
    """All is sent, with status 0; of what is not, status 1 tells; never a traceback."""
    place.write(driver="small")
    files = [place.file(name, b"x") for name in ("a.rpz", "b.rpz", "c.rpz")]
    arguments = ["publish", *files, "-c", str(place.path), "--to", "ns1", "ns2"]
    done = run(place, redirection, *arguments)
    assert (done.returncode, done.stderr) == (0, "")

    Path(files[1]).write_bytes(b"x" * 10)
    done = run(place, redirection, *arguments)
    assert done.returncode == 1
    if "2>" not in redirection:
        assert done.stderr.splitlines()[-1] == "filesync: 2 of 6 were not sent"
        assert len(done.stderr.splitlines()) == 3


@pytest.mark.parametrize("redirection", REDIRECTIONS.values(), ids=REDIRECTIONS)
@pytest.mark.parametrize("command", ["check", "--help"])
def test_other_commands_are_silent_when_nothing_can_be_printed(
    place: Place, command: str, redirection: str
) -> None:
    """Status 0, and no complaint of Python at its end."""
    done = run(place, redirection, command, *([str(place.path)] if command == "check" else []))
    assert done.returncode == 0
    assert done.stderr == "" or done.stderr.startswith("usage: ")  # There argparse turns to it.
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("redirection", REDIRECTIONS.values(), ids=REDIRECTIONS)
def test_a_schema_that_cannot_be_printed(place: Place, redirection: str) -> None:
    """A reader that has seen enough is no error; a disk that is full is."""
    done = run(place, redirection, "schema")
    full = "/dev/full" in redirection
    assert done.returncode == (2 if full else 0)
    said = "filesync: standard output: No space left on device\n"
    assert done.stderr == (said if redirection == REDIRECTIONS["full"] else "")


def test_a_descriptor_that_is_closed_is_given_to_no_file(place: Place) -> None:
    """Whatever writes to standard error by its number must not reach a file or a connection."""
    code = (
        "import os\n"
        "from filesync.__main__ import main\n"
        "main(['schema'])\n"
        f"fd = os.open({str(place.path)!r}, os.O_RDONLY)\n"
        "raise SystemExit(fd)\n"
    )
    script = 'exec "$@" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, "sh", sys.executable, "-c", code], check=False)
    assert done.returncode > 2


def test_a_name_that_the_terminal_cannot_show_is_escaped(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent, with status 0; a name that is refused is escaped too."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    place.write(driver="small")
    done = place.publish(place.file("été.rpz", b"x"), "--to", "ns1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "\\xe9t\\xe9.rpz to ns1: sent (1 bytes)\n"

    done = place.publish("gone/été.rpz", "--to", "ns1")
    assert done.returncode == 2
    assert done.stderr == "filesync: gone/\\xe9t\\xe9.rpz: No such file or directory\n"
