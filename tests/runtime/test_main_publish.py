"""`filesync publish`, without Kafka: what it says, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence

import pytest

from support.place import Place


def test_files_are_published(place: Place) -> None:
    """Data first; what became of each is told in a line."""
    configuration, data = place.file("r.yaml", b"a: 1"), place.file("a.rpz", b"x" * 100)
    done = place.publish(configuration, data, "--to", "ns1", "ns2", "--chunk-bytes", "60")

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("record")] == [
        "record ns1 a.rpz 60",
        "record ns1 a.rpz 40",
        "record ns2 a.rpz 60",
        "record ns2 a.rpz 40",
        "record ns1 r.yaml 4",
        "record ns2 r.yaml 4",
    ]
    assert "a.rpz to ns1: sent (100 bytes)" in lines
    assert "r.yaml to ns2: sent (4 bytes)" in lines


def test_hosts_can_stand_in_a_file_and_a_file_can_have_another_name(place: Place) -> None:
    """Remarks and empty lines do not count; a host named twice is one."""
    hosts = place.file("hosts", b"ns1  # here\n\n# none\nns2\nNS1\n")
    done = place.publish(f"zones/b.rpz={place.file('a.rpz', b'x')}", "--to", f"@{hosts}")

    assert done.returncode == 0
    assert done.stdout.splitlines()[-2:] == [
        "zones/b.rpz to ns1: sent (1 bytes)",
        "zones/b.rpz to ns2: sent (1 bytes)",
    ]


def test_a_dry_run_sends_nothing(place: Place) -> None:
    """It says what would be sent."""
    done = place.publish(place.file("a.rpz", b"x" * 2_000_000), "--to", "ns1", "--dry-run")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "would send a.rpz to ns1: 1.9 MiB, chunks: 4\n"


def test_what_many_copies_cost_is_said(place: Place) -> None:
    """Before it is sent; a gibibyte is much."""
    path = place.folder / "a.rpz"
    with path.open("wb") as file:
        file.truncate(600 << 20)
    done = place.publish(str(path), "--to", "ns1", "ns2", "--dry-run")

    assert "1.2 GiB will be sent and stored: 2 copies of 600.0 MiB, one for each" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("gone.rpz", "--to", "ns1"), "gone.rpz: No such file"),
        (("{broken}", "--to", "ns1"), "receivers would refuse it: r.yaml, line"),
        (("{good}", "--to", "@gone"), "--to @gone: "),
        (("{good}", "--to", "a b"), "must be a host name"),
        (("{good}", "--to", "ns1", "--chunk-bytes", "0"), "receivers take 1 to 8388608"),
        (("{good}", "--to", "ns1", "--generation", "-1"), "a generation is 0 to"),
    ],
)
def test_what_cannot_be_published_is_told(
    place: Place, arguments: Sequence[str], said: str
) -> None:
    """In one line, with status 2; nothing is sent."""
    files = {"broken": place.file("r.yaml", b"a: ["), "good": place.file("a.rpz", b"x")}
    done = place.publish(*(word.format_map(files) for word in arguments))

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_topic_that_is_missing_is_told(place: Place) -> None:
    """Status 4: it may be there the next time."""
    place.write(topic="missing")
    done = place.publish(place.file("a.rpz", b"x"), "--to", "ns1", "--timeout", "1")

    assert done.returncode == 4
    assert "nothing was published: there is no topic 'missing'" in done.stderr


def test_what_was_not_sent_is_told(place: Place) -> None:
    """Status 1, with the reason; the rest is sent."""
    place.write(driver="small")
    large, small = place.file("large.rpz", b"x" * 10), place.file("small.rpz", b"x")
    done = place.publish(large, small, "--to", "ns1")

    assert done.returncode == 1
    assert "small.rpz to ns1: sent (1 bytes)" in done.stdout
    assert "large.rpz to ns1: failed: a record of 10 bytes is too large" in done.stderr
    assert done.stderr.splitlines()[-1] == "filesync: 1 of 2 were not sent"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_ends_publishing(place: Place, number: signal.Signals) -> None:
    """Status 5; what became of each file is told."""
    place.write(driver="slow")
    file = place.file("a.rpz", b"x" * 100)
    process = place.start("-m", "filesync", "publish", "-c", str(place.path), file, "--to", "ns1")
    assert process.stdout is not None
    while process.stdout.readline() != "waiting\n":
        assert process.poll() is None
    process.send_signal(number)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 5
    assert "a.rpz to ns1: cancelled: all of it was under way: it may have arrived" in err


def test_a_terminal_gets_a_progress_bar(place: Place) -> None:
    """With tqdm installed; the lines about files stand above it."""
    file = place.file("a.rpz", b"x" * 5000)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "filesync", "publish", "-c", str(place.path), file, "--to", "ns1"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(place.packages), *filter(None, sys.path)]),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    out, _ = process.communicate(timeout=20)
    drawn = b""
    with contextlib.suppress(OSError):  # The other end of a terminal is gone: no more to read.
        while data := os.read(ours, 4096):
            drawn += data
    os.close(ours)

    assert process.returncode == 0
    assert b"a.rpz to ns1: sent (5000 bytes)" in out
    assert b"100%" in drawn
    assert b"4.88k/4.88k" in drawn
