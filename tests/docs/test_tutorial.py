"""Every command of the tutorial does what the page says, with a real Unbound."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from support.pages import DOCS, FENCE, ROOT, needs_confluent
from support.waiting import eventually

PAGE = DOCS / "tutorial.md"
STEPS: list[tuple[str, str]] = FENCE.findall(PAGE.read_text(encoding="utf-8"))
INSTALL, VIRTUAL_ENVIRONMENT = (body for language, body in STEPS[:2] if language == "sh")
PROGRAMS = [*(f"/usr/sbin/unbound{name}" for name in ("", "-checkconf", "-control")), "host"]
HEADER = "$TTL 60\n@ SOA ns.example. root.example. 9 3600 600 86400 60\n"


class Reader:
    """
    Somebody who does what the page says, in a home and at a port of their own.

    Attributes:
        folder: What the page calls ``~/filesync-tutorial``.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "filesync-tutorial"
        self._home = home
        self._port = _free_port()
        self._log = home / "log"
        self._terminals: list[subprocess.Popen[bytes]] = []

    def run(self, block: str, *, folder: Path | None = None) -> tuple[int, list[str]]:
        """Run *block* to its end; return its status and the lines that it printed."""
        done = subprocess.run(
            self._shell(block),
            cwd=folder or self.folder,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        return done.returncode, self.plain(done.stdout).splitlines()

    def open_terminal(self, block: str) -> None:
        """Start *block* in another terminal."""
        with self._log.open("ab") as log:
            self._terminals.append(
                subprocess.Popen(
                    self._shell(block),
                    cwd=self._home,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def press_control_c(self) -> int:
        """End what runs in the terminal that was opened last; return its status."""
        terminal = self._terminals.pop()
        os.killpg(terminal.pid, signal.SIGINT)
        return terminal.wait(30)

    def log(self) -> list[str]:
        """Return what the terminals show, but for the connection."""
        lines = self.plain(self._log.read_text(encoding="utf-8")).splitlines()
        return [line for line in lines if "event=" in line and "event=health_changed" not in line]

    def wait_for(self, text: str) -> None:
        """Wait until a terminal shows *text*."""
        eventually(lambda: text in self._log.read_text(encoding="utf-8"), 60, what=text)

    def wait_for_lines(self, count: int) -> None:
        """Wait until terminals show *count* lines of the log."""
        eventually(lambda: len(self.log()) >= count, 60, what=f"{count} lines")

    def plain(self, text: str) -> str:
        """Return *text* without what differs from run to run."""
        text = text.replace(str(self._home), "/home/you").replace(str(self._port), "5335")
        text = re.sub(r"(?m)^time=\S+", "time=T", text)
        text = re.sub(r"(knot-resolver at|connected to) 127\.0\.0\.1:\d+", r"\1 127.0.0.1:9", text)
        text = re.sub(r"mockCluster\w+", "mockCluster", text)
        return re.sub(r"knot-resolver\[\d\]@", "knot-resolver[0]@", text)

    def close(self) -> None:
        """End what still runs, whatever happened."""
        for terminal in self._terminals:
            with suppress(ProcessLookupError):
                os.killpg(terminal.pid, signal.SIGKILL)
            terminal.wait()
        with suppress(OSError, ValueError):
            os.kill(int((self.folder / "unbound.pid").read_text()), signal.SIGKILL)

    def _shell(self, block: str) -> list[str]:
        return ["bash", "-euo", "pipefail", "-c", block.replace("5335", str(self._port))]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self._home), "LC_ALL": "C.UTF-8"}


def _free_port() -> int:
    """Return a port of loopback that nobody uses, by UDP or TCP."""
    with closing(socket.socket()) as tcp, closing(socket.socket(type=socket.SOCK_DGRAM)) as udp:
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        return port


def _block(start: str) -> str:
    """Return the block of commands that has a line with *start* at its begin."""
    (found,) = [
        body for language, body in STEPS if language == "sh" and f"\n{start}" in f"\n{body}"
    ]
    return found


@pytest.fixture(name="reader")
def _reader() -> Iterator[Reader]:
    """Return somebody with an empty home; its path is short, as that of a socket must be."""
    home = Path(tempfile.mkdtemp(prefix="filesync-"))
    with closing(Reader(home)) as reader:
        yield reader
    shutil.rmtree(home)


@pytest.fixture(name="resolver")
def _resolver(reader: Reader) -> Reader:
    """Return somebody whose Unbound runs, and who has written the two programs."""
    _must_have_unbound()
    (reader.folder / "bin").mkdir(parents=True)
    for start in ("cat > unbound.conf", "cat > reload"):
        assert reader.run(_block(start)) == (0, [])
    return reader


def _must_have_unbound() -> None:
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.fail(f"{', '.join(missing)}: missing; {INSTALL}", pytrace=False)


@pytest.mark.daemon
@pytest.mark.timeout(400)
def test_the_tutorial_works_as_it_is_told(reader: Reader) -> None:
    """Each block in its terminal: what is printed, logged and answered is what the page shows."""
    _must_have_unbound()
    assert reader.run(VIRTUAL_ENVIRONMENT, folder=ROOT)[0] == 0
    broker = reader.folder / "broker"
    expected: list[str] = []
    printed: list[str] = []
    command, status = "", 0
    for language, body in STEPS[2:]:
        if language == "sh" and "demo --broker" in body:
            reader.open_terminal(body)
            eventually(lambda: broker.exists() and broker.read_text(), 60, what=str(broker))
        elif language == "sh" and "filesync run" in body:
            reader.open_terminal(body)
            reader.wait_for("event=caught_up")
        elif language == "sh":
            command = body
            status, printed = reader.run(body)
            assert status in {0, 1, 2}, printed
        elif body.startswith("time="):
            expected += reader.plain(body).splitlines()
            reader.wait_for_lines(1 + len(expected))
        else:
            shown = reader.plain(body).splitlines()
            if "host -p" in command:  # It tells first whom it asks.
                assert [line for line in printed if line in shown] == shown, printed
                assert printed[-1] == shown[-1]
            else:
                assert printed == shown
            assert status == _status(shown[-1])
    _, *logged = reader.log()  # The first one says that it has caught up.
    assert len(logged) == len(expected), logged
    for line, wanted in zip(logged, expected, strict=True):
        assert re.fullmatch(".*".join(map(re.escape, wanted.split("…"))), line), line
    assert reader.press_control_c() == 0
    assert reader.press_control_c() != 0  # tee has ended by it.
    eventually(lambda: not (reader.folder / "unbound.pid").exists(), what="the end of Unbound")


def _status(line: str) -> int:
    """Return the exit status of a program that says *line* last."""
    if line.startswith("filesync: "):
        return 2
    return 1 if "NXDOMAIN" in line else 0


@pytest.mark.daemon
@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(HEADER, "no errors", id="no-rule"),
        pytest.param(f"{HEADER}one.example CNAME .\n", "no errors", id="rule"),
        pytest.param(f"{HEADER}one.example CNA", "could not parse", id="cut-off"),
        pytest.param(f"{HEADER}one.example. CNAME .\n", "not a subdomain", id="out-of-zone"),
        pytest.param("one.example 60 CNAME .\n", "no SOA", id="no-SOA"),
        pytest.param("", "no SOA", id="empty"),
    ],
)
def test_the_check_refuses_what_unbound_cannot_use(resolver: Reader, data: str, says: str) -> None:
    """A list with broken lines or without a zone; its last words say why."""
    (resolver.folder / "new").write_text(data)
    status, printed = resolver.run("./check new")
    assert status == (0 if says == "no errors" else 1)
    assert says in "\n".join(printed)


@pytest.mark.daemon
def test_the_reload_sees_through_what_unbound_says(resolver: Reader) -> None:
    """Unbound is fine with an empty list, the program is not; it waits for an Unbound that runs."""
    live = resolver.folder / "files" / "block.rpz"
    reload = f"{resolver.folder}/reload {live}"
    live.write_text(f"{HEADER}one.example CNAME .\n")
    assert resolver.run(reload) == (0, ["ok", "block.rpz.\tserial 9"])
    live.write_text("")
    naive = "/usr/sbin/unbound-control -c unbound.conf auth_zone_reload block.rpz."
    assert resolver.run(naive) == (0, ["ok"])
    assert resolver.run(reload) == (1, ["ok"])
    live.write_text(f"{HEADER}one.example CNA")
    assert resolver.run(reload) == (1, ["error failed to read block.rpz."])
    assert resolver.run(_block("/usr/sbin/unbound-control -c unbound.conf stop"))[0] == 0
    assert resolver.run(reload)[0] == 75


@needs_confluent
def test_the_tutorial_s_settings_can_be_used_and_broken(reader: Reader) -> None:
    """`filesync check` says what the page shows, of the one and the other."""
    (reader.folder / "bin").mkdir(parents=True)
    (reader.folder / "files").mkdir()
    (reader.folder / "broker").write_text("127.0.0.1:9\n")
    program = reader.folder / "bin" / "filesync"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m filesync "$@"\n')
    program.chmod(0o755)
    for start, status in (("cat > settings.yaml", 0), ("sed 's/topic/topics/'", 2)):
        at = STEPS.index(("sh", _block(start)))
        assert reader.run(STEPS[at][1]) == (status, reader.plain(STEPS[at + 1][1]).splitlines())


def test_the_tutorial_installs_what_the_readme_does() -> None:
    """From the checkout, with the same extra."""
    (line,) = re.findall(r"pip install (?:--quiet )?('\S+')", VIRTUAL_ENVIRONMENT)
    assert f"pip install --quiet {line}" in (ROOT / "README.md").read_text(encoding="utf-8")
