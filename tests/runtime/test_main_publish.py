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

#: Producers for which it takes long to reach a broker, to begin, or to end.
WEATHER = """
import time
from filesync.transport import Health

class Silent:
    cause = "connecting to b@1"

    def __init__(self, settings, *, timeout):
        pass

    def start(self):
        pass

    def poll(self, timeout):
        time.sleep(timeout)
        return []

    def health(self):
        return Health(up=False, cause=self.cause)

    def close(self, timeout):
        pass

class Failing(Silent):
    def poll(self, timeout):
        self.cause = "b@1 cannot be reached: refused"
        return super().poll(timeout)

class SlowlyOpened(Silent):
    def __init__(self, settings, *, timeout):
        print("opening", flush=True)
        time.sleep(60)

class NeverClosed(Silent):
    def poll(self, timeout):
        print("polling", flush=True)
        return super().poll(timeout)

    def close(self, timeout):
        print("closing", flush=True)
        time.sleep(60)
"""

WEATHER_ENTRY_POINTS = """
[filesync.producers]
silent = weather_producer:Silent
failing = weather_producer:Failing
slowly-opened = weather_producer:SlowlyOpened
never-closed = weather_producer:NeverClosed
"""


def install_weather(place: Place, driver: str) -> None:
    """Install producers that meet bad weather, and have the settings name *driver*."""
    (place.packages / "weather_producer.py").write_text(WEATHER)
    place.install("weather", "1.0", WEATHER_ENTRY_POINTS)
    place.write(driver=driver)


def read_until(process: subprocess.Popen[str], wanted: str) -> None:
    """Read what the program says until it says *wanted*."""
    assert process.stdout is not None
    while process.stdout.readline() != f"{wanted}\n":
        assert process.poll() is None


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


def test_hosts_can_be_named_in_several_places(place: Place) -> None:
    """Each ``--to`` adds to those before; a byte order mark is no part of a name."""
    hosts = place.file("hosts", b"\xef\xbb\xbfns3\n")
    file = place.file("a.rpz", b"x")
    done = place.publish("--to", "ns1", "--to", "ns2", f"@{hosts}", "--dry-run", file)

    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[4] for line in done.stdout.splitlines()] == ["ns1:", "ns2:", "ns3:"]


def test_a_file_that_is_taken_for_a_host_is_told(place: Place) -> None:
    """The usage has FILE first, and the message says which words are hosts."""
    done = place.publish("--to", "ns1", place.file("a.rpz", b"x"))

    assert done.returncode == 2
    assert done.stderr.startswith("usage: filesync publish [-h] FILE [FILE ...] --to HOST")
    assert "all words between --to and the next option are hosts" in done.stderr


def test_sizes_and_durations_are_written_as_in_settings(place: Place) -> None:
    """With units; how much that is, the number of chunks tells."""
    file = place.file("a.rpz", b"x" * 5000)
    options = ("--chunk-bytes", "2KiB", "--timeout", "5m", "--dry-run")
    done = place.publish(file, "--to", "ns1", *options)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "would send a.rpz to ns1: 5000 bytes, chunks: 3\n"


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
        (("../x={good}", "--to", "ns1"), "receivers refuse the name '../x': "),
        (("{good}", "--to", "@gone"), "filesync: --to @gone: No such file or directory\n"),
        (("{good}", "--to", "@{empty}"), "/empty names no host\n"),
        (("{good}", "--to", "@{bytes}"), "/bytes is not UTF-8\n"),
        (("{good}", "--to", "a b"), "must be a host name"),
        (("{good}", "--to", "ns1", "--chunk-bytes", "0"), "receivers take 1 to 8388608"),
        (
            ("{good}", "--to", "ns1", "--chunk-bytes", "1 XB"),
            "filesync: --chunk-bytes: must be a whole number of bytes, or a size such as 512KiB",
        ),
        (
            ("{good}", "--to", "ns1", "--timeout", "soon"),
            "filesync: --timeout: must be a number of seconds, or a duration such as 500ms",
        ),
        (("{good}", "--to", "ns1", "--timeout", "25h"), "a time-out of 90000 s is not from"),
        (("{good}", "--to", "ns1", "--generation", "-1"), "a generation is 0 to"),
    ],
)
def test_what_cannot_be_published_is_told(
    place: Place, arguments: Sequence[str], said: str
) -> None:
    """In one line, with status 2; nothing is sent."""
    contents = {"r.yaml": b"a: [", "a.rpz": b"x", "empty": b"# ns1\n", "bytes": b"ns1\nns\xff\n"}
    paths = {name: place.file(name, data) for name, data in contents.items()}
    files = {"broken": paths["r.yaml"], "good": paths["a.rpz"], **paths}
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


@pytest.mark.parametrize(
    ("driver", "told"),
    [
        ("failing", "b@1 cannot be reached: refused\nfilesync: nothing was published (after 1 s)"),
        ("silent", "connecting to b@1 (after 1 s); no cause is known yet: try a longer --timeout"),
    ],
)
def test_a_broker_that_cannot_be_reached_is_told_once(place: Place, driver: str, told: str) -> None:
    """Status 4; the cause stands in one line, or that none is known yet."""
    install_weather(place, driver)
    done = place.publish(place.file("a.rpz", b"x"), "--to", "ns1", "--timeout", "1s")

    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.removeprefix("filesync: nothing was published: ") == f"{told}\n"


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
    read_until(process, "waiting")
    process.send_signal(number)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 5
    assert "a.rpz to ns1: cancelled: all of it was under way: it may have arrived" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_signal_ends_publishing_before_it_begins(place: Place, number: signal.Signals) -> None:
    """Status 5 and one line, however early."""
    install_weather(place, "slowly-opened")
    file = place.file("a.rpz", b"x")
    process = place.start("-m", "filesync", "publish", "-c", str(place.path), file, "--to", "ns1")
    read_until(process, "opening")
    process.send_signal(number)
    _, err = process.communicate(timeout=20)

    assert (process.returncode, err) == (5, "filesync: stopped before anything was sent\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_a_second_signal_ends_it_at_once(place: Place, number: signal.Signals) -> None:
    """Whatever the driver does while it is closed."""
    install_weather(place, "never-closed")
    file = place.file("a.rpz", b"x")
    process = place.start("-m", "filesync", "publish", "-c", str(place.path), file, "--to", "ns1")
    read_until(process, "polling")
    process.send_signal(signal.SIGINT)
    read_until(process, "closing")
    process.send_signal(number)
    process.communicate(timeout=20)

    assert process.returncode == -number


def start_on_a_terminal(place: Place, file: str) -> tuple[subprocess.Popen[str], int]:
    """Start publishing with standard error on a terminal; return our end of that, too."""
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
        text=True,
    )
    os.close(theirs)
    place.running.append(process)
    return process, ours


def test_a_terminal_gets_a_progress_bar(place: Place) -> None:
    """With tqdm installed; the lines about files stand above it."""
    process, ours = start_on_a_terminal(place, place.file("a.rpz", b"x" * 5000))
    out, _ = process.communicate(timeout=20)
    drawn = b""
    with contextlib.suppress(OSError):  # The other end of a terminal is gone: no more to read.
        while data := os.read(ours, 4096):
            drawn += data
    os.close(ours)

    assert process.returncode == 0
    assert "a.rpz to ns1: sent (5000 bytes)" in out
    assert b"100%" in drawn
    assert b"4.88k/4.88k" in drawn


def test_a_terminal_that_goes_away_ends_nothing(place: Place) -> None:
    """The bar is not drawn any more; the status tells how publishing ended."""
    place.write(driver="slow")
    process, ours = start_on_a_terminal(place, place.file("a.rpz", b"x"))
    while b"0.00/1.00" not in os.read(ours, 4096):
        assert process.poll() is None
    os.close(ours)
    read_until(process, "waiting")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)

    assert process.returncode == 5
