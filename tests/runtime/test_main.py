"""The command line, without Kafka: what it says, and how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from attrs import define, field

from filesync.__main__ import main
from support.disk import names_in
from support.waiting import eventually

#: A transport that somebody installed: its log is in memory, and filled at start.
SAMPLE = """
import json, os
from filesync.exceptions import TransportError
from filesync.runtime._memory import MemoryBroker, MemoryTransport
from filesync.runtime._memory_producer import MemoryProducer

def open_transport(settings):
    broker = MemoryBroker()
    broker.create_topic(settings.kafka.topic)
    for name, text in json.loads(os.environ.get("SAMPLE_FILES", "{}")).items():
        headers = [("hostname", b"ns1"), ("file-name", name.encode())]
        broker.publish(settings.kafka.topic, text.encode(), headers=headers)
    return MemoryTransport(broker, settings.kafka.topic)

class Refusing(MemoryTransport):
    def start(self):
        raise TransportError("ca-file is no certificate")

class Dying(MemoryTransport):
    def poll(self, *arguments):
        raise TransportError("the broker speaks another protocol")

class Seen(MemoryProducer):
    def send(self, record):
        headers = {name: value.decode() for name, value in record.headers}
        print("record", headers["hostname"], headers["files-name"], len(record.value), flush=True)
        super().send(record)

def open_producer(settings, *, timeout):
    broker = MemoryBroker()
    if settings.kafka.topic != "missing":
        broker.create_topic(settings.kafka.topic)
    return Seen(broker, settings.kafka.topic, timeout=timeout, max_record_bytes=10_000_000)

class Slow(Seen):
    def poll(self, timeout):
        print("waiting", flush=True)
        with self._broker.changed:
            self._broker.changed.wait(timeout)
        return []

def open_slow(settings, *, timeout):
    broker = MemoryBroker()
    broker.create_topic(settings.kafka.topic)
    return Slow(broker, settings.kafka.topic, timeout=timeout)

def open_small(settings, *, timeout):
    broker = MemoryBroker()
    broker.create_topic(settings.kafka.topic)
    return MemoryProducer(broker, settings.kafka.topic, timeout=timeout, max_record_bytes=9)

def refuse(settings):
    return Refusing(MemoryBroker(), settings.kafka.topic)

def die(settings):
    return Dying(MemoryBroker(), settings.kafka.topic)
"""

ENTRY_POINTS = """
[filesync.transports]
sample = sample_transport:open_transport
refusing = sample_transport:refuse
dying = sample_transport:die
undriven = undriven_transport:open_transport

[filesync.producers]
sample = sample_transport:open_producer
slow = sample_transport:open_slow
small = sample_transport:open_small
"""

#: The driver that a package wraps is hidden from the program.
WITHOUT_DRIVER = """
import sys
sys.modules["confluent_kafka"] = None
from filesync.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@define
class Place:
    """A settings file, a files-dir, and packages that only we have installed."""

    folder: Path
    path: Path = field(init=False)
    files: Path = field(init=False)
    packages: Path = field(init=False)
    running: list[subprocess.Popen[str]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.path = self.folder / "settings.yaml"
        self.files = self.folder / "files"
        self.packages = self.folder / "packages"
        self.files.mkdir()
        self.packages.mkdir()
        (self.packages / "sample_transport.py").write_text(SAMPLE)
        (self.packages / "undriven_transport.py").write_text("import a_driver_of_nobody\n")
        self.install("sample", "1.0", ENTRY_POINTS)
        self.write()

    def install(self, name: str, version: str, entry_points: str = "") -> None:
        """Let a package seem to be installed."""
        folder = self.packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}")
        (folder / "entry_points.txt").write_text(entry_points)

    def write(
        self,
        *,
        enable: bool = True,
        driver: str = "sample",
        topic: str = "files",
        files_dir: Path | None = None,
        renew: Sequence[str] = ("true",),
        more: str = "",
    ) -> None:
        """Write the settings file."""
        text = f"""\
            hostname: ns1
            kafka:
              enable: {str(enable).lower()}
              topic: {topic}
              files-dir: {files_dir or self.files}
            filesync:
              driver: {driver}
              schedule: {{quiet: 50ms, max-wait: 50ms, min-gap: 0s, backoff: 50ms}}
              daemon: {{adapter: command, renew: {json.dumps(renew)}}}
            """
        self.path.write_text(textwrap.dedent(text) + more)

    def start(self, *arguments: str, files: dict[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the program; a warning is an error in it."""
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(self.packages), *filter(None, sys.path)]),
                "SAMPLE_FILES": json.dumps(files or {}),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(process)
        return process

    def run(
        self, *options: str, files: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Let ``filesync run`` come to its end."""
        process = self.start("-m", "filesync", "run", "-c", str(self.path), *options, files=files)
        out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def publish(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Let ``filesync publish`` come to its end."""
        process = self.start("-m", "filesync", "publish", "-c", str(self.path), *arguments)
        out, err = process.communicate(timeout=20)
        return subprocess.CompletedProcess([], process.returncode, out, err)

    def file(self, name: str, data: bytes) -> str:
        """Write a file to publish; return its path."""
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def close(self) -> None:
        """End what still runs."""
        for process in self.running:
            process.kill()
            process.communicate()


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    place = Place(tmp_path)
    monkeypatch.syspath_prepend(str(place.packages))
    yield place
    place.close()
    sys.modules.pop("sample_transport", None)


def check(place: Place, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run ``filesync check``; return its status, and what it printed to whom."""
    status = main(["check", str(place.path)])
    return status, *capsys.readouterr()


# How it is called


@pytest.mark.parametrize(
    "arguments",
    [[], ["restart"], ["run"], ["check"], ["run", "-c"], ["run", "-c", "x", "--log-level", "all"]],
    ids=" ".join,
)
def test_a_wrong_call_is_told_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """Status 2, and what would be right."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: filesync")


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_it_says_what_it_is(capsys: pytest.CaptureFixture[str], option: str) -> None:
    """Version and help end with status 0."""
    with pytest.raises(SystemExit) as caught:
        main([option])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(("filesync ", "usage: filesync"))


def test_a_namesake_in_the_same_environment_is_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another project owns the name on PyPI: with both installed nothing can be relied on."""
    place.install("filesync", "9.9")
    status, out, err = check(place, capsys)
    assert (status, out) == (2, "")
    assert "'filesync' 9.9, another project" in err
    assert "pip uninstall filesync" in err


# Check


def test_good_settings_are_said_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What they mean, in words; nothing is created and nobody is asked."""
    status, out, err = check(place, capsys)
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        f"{place.path}: the settings are valid",
        "  host name   ns1",
        "  topic       files at localhost:9092",
        "  security    plaintext",
        f"  files-dir   {place.files}",
        "  daemon      command",
    ]
    assert list(place.files.iterdir()) == []


def test_a_check_says_that_it_is_switched_off(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Settings may be right and yet do nothing."""
    place.write(enable=False)
    status, out, _ = check(place, capsys)
    assert status == 0
    assert out.splitlines()[-1] == "  kafka.enable is false: filesync run ends at once"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"kafka:\n  enabel: true\n", "settings.yaml, line 2: kafka.enabel: unknown key"),
        (b"kafka: \xff\n", "settings.yaml: byte 7 is not UTF-8"),
        (b"kafka: [\n", "settings.yaml, line "),
        (b"# " + b"x" * (1 << 20), "settings.yaml"),
    ],
    ids=["key", "bytes", "yaml", "size"],
)
def test_bad_settings_are_told_with_their_line(
    place: Place, capsys: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    """Status 2, one line, the file's name in it."""
    place.path.write_bytes(content)
    status, out, err = check(place, capsys)
    assert (status, out) == (2, "")
    assert err.startswith("filesync: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("name", "why"), [("missing.yaml", "No such file or directory"), ("files", "Is a directory")]
)
def test_settings_that_cannot_be_read_are_told(
    place: Place, capsys: pytest.CaptureFixture[str], command: str, name: str, why: str
) -> None:
    """Status 2, the path and the system's reason."""
    path = str(place.folder / name)
    assert main([command, *(["-c"] if command == "run" else []), path]) == 2
    assert capsys.readouterr() == ("", f"filesync: {path}: {why}\n")


def test_a_daemon_that_cannot_be_set_up_is_told(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the adapter does not understand is the settings' fault, with their file and key."""
    place.path.write_text(place.path.read_text().replace("renew:", "renwe:"))
    status, _, err = check(place, capsys)
    assert status == 2
    assert f"filesync: {place.path}: filesync.daemon: " in err
    assert "unknown option 'renwe'; did you mean renew?" in err
    assert err.count("\n") == 1


def test_an_unknown_driver_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A typo is told with what there is."""
    place.write(driver="smaple")
    status, _, err = check(place, capsys)
    assert status == 2
    assert "no transport is called 'smaple'; installed: " in err
    assert "sample" in err


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_driver_is_told_with_the_command_that_installs_it(
    place: Place, command: str
) -> None:
    """Status 2, and exactly what to type; for the adapter of this project."""
    place.write(driver="confluent-kafka")
    option = ["-c"] if command == "run" else []
    process = place.start("-c", WITHOUT_DRIVER, command, *option, str(place.path))
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err == (
        "filesync: 'confluent-kafka' needs the Python package 'confluent_kafka': "
        "pip install 'kafka-filesync[confluent-kafka]'\n"
    )
    assert list(place.files.iterdir()) == []


def test_the_demo_needs_a_driver(place: Place) -> None:
    """Without the package that carries its broker the demo says how to get it."""
    process = place.start("-c", WITHOUT_DRIVER, "demo")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 2
    assert err.endswith(": pip install 'kafka-filesync[confluent-kafka]'\n")
    assert err.count("\n") == 1


def test_somebody_elses_adapter_names_its_driver(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package that is missing is named as Python knows it."""
    place.write(driver="undriven")
    status, _, err = check(place, capsys)
    assert status == 2
    assert "'undriven' needs the Python package 'a_driver_of_nobody'" in err


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda path: None, "create it, or correct kafka.files-dir"),
        (Path.touch, "kafka.files-dir"),
    ],
    ids=["missing", "file"],
)
def test_an_unusable_files_dir_is_told(
    place: Place, capsys: pytest.CaptureFixture[str], make: Callable[[Path], object], advice: str
) -> None:
    """Status 2, for a check and for a start: the path, and what to do."""
    path = place.folder / "elsewhere"
    make(path)
    place.write(files_dir=path)
    status, _, err = check(place, capsys)
    assert status == 2
    done = place.run()
    assert done.returncode == 2
    for said in (err, done.stderr):
        assert said.startswith(f"filesync: files-dir {path} ")
        assert advice in said
        assert said.count("\n") == 1


# Run


def test_what_is_switched_off_ends_at_once(place: Place) -> None:
    """Status 0 and a sentence; files-dir is not touched, the driver is not needed."""
    place.write(enable=False, driver="undriven", files_dir=place.folder / "missing")
    done = place.run()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{place.path}: kafka.enable is false, so there is nothing to do\n"


def test_all_that_is_there_is_fetched_and_served(place: Place) -> None:
    """``--until-caught-up`` ends with status 0, the files in place, the daemon told once."""
    place.write(renew=["sh", "-c", "echo renewed >> $0/renewed", str(place.folder)])
    done = place.run("--until-caught-up", files={"a.rpz": "one", "b/c.rpz": "two"})
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert names_in(place.files) == ["a.rpz", "b", "b/c.rpz"]
    assert (place.files / "b" / "c.rpz").read_text() == "two"
    assert (place.folder / "renewed").read_text() == "renewed\n"
    events = [line.split("event=")[1].split()[0] for line in done.stderr.splitlines()]
    assert sorted(events) == [
        "caught_up",
        "committed",
        "committed",
        "health_changed",
        "renew_assumed",
    ]


def test_what_is_not_served_is_told(place: Place) -> None:
    """Status 1: the files are in place, but the daemon does not want them."""
    place.write(renew=["false"])
    done = place.run("--until-caught-up", "--log-level", "error", files={"a.rpz": "one"})
    assert done.returncode == 1
    assert done.stderr == "filesync: not served: a.rpz\n"
    assert (place.files / "a.rpz").read_text() == "one"


def test_a_files_dir_in_use_is_told(place: Place) -> None:
    """Status 3 and one clear line; the first process goes on, and the next may start after it."""
    first = place.start("-m", "filesync", "run", "-c", str(place.path))
    eventually((place.files / ".filesync" / "journal").exists)
    second = place.run()
    assert second.returncode == 3
    assert second.stderr == (
        f"filesync: files-dir {place.files} is in use by another filesync; "
        "stop that one, or give each its own files-dir\n"
    )
    assert first.poll() is None
    first.kill()
    first.communicate(timeout=20)
    assert place.run("--until-caught-up").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(place: Place, number: signal.Signals) -> None:
    """Status 0, soon; what was read is written down."""
    process = place.start("-m", "filesync", "run", "-c", str(place.path), files={"a.rpz": "one"})
    eventually((place.files / "a.rpz").exists)
    process.send_signal(number)
    _, err = process.communicate(timeout=5)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert b'"positions":[["files",0,1]]' in (place.files / ".filesync" / "journal").read_bytes()


@pytest.mark.parametrize(
    ("driver", "status", "said"),
    [
        ("refusing", 2, "filesync: ca-file is no certificate\n"),
        ("dying", 4, "filesync: the broker speaks another protocol\n"),
    ],
)
def test_a_transport_that_fails_is_told(place: Place, driver: str, status: int, said: str) -> None:
    """Status 2 before anything was read: correct it; status 4 later: start it again."""
    place.write(driver=driver)
    done = place.run()
    assert (done.returncode, done.stderr.splitlines(keepends=True)[-1]) == (status, said)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (".filesync/journal", None, "cannot be used: "),
        (".filesync", b"", "cannot be used: Not a directory"),
    ],
)
def test_what_stands_in_our_way_is_told(
    place: Place, name: str, content: bytes | None, said: str
) -> None:
    """Whatever keeps us from our own directory is told in one line, never as a traceback."""
    path = place.files / name
    path.parent.mkdir(exist_ok=True)
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    done = place.run()
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


# Publishing


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
