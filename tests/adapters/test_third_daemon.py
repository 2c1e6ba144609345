"""
A third party's daemon adapter serves Unbound's zone files, and proves it.

It is a distribution of its own, in ``tests/third_daemon``, and nothing here
imports it: it is found by its entry point, as it would be on a host. What it
asks is a small server that is controlled as Unbound is, and Unbound itself
where the marker ``daemon`` is asked for.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from shutil import which

import pytest
from attrs import define, field

from filesync import ActionEnded, ChangedFile, Kind, Outcome, read_settings
from filesync.daemon import Assumed, Daemon, Refused, Served, Unknown, Unreachable, open_daemon
from filesync.exceptions import SettingsError
from filesync.runtime import Receiver
from filesync.testing import MemoryBroker, MemoryTransport
from support.installed import installed
from support.pages import DOCS, blocks
from support.waiting import eventually

_SOURCE = Path(__file__).parents[1] / "third_daemon"
_MODULE = "filesync_unbound_example"
_NAME = "unbound-example"
_PAGE = DOCS / "how-to" / "write_a_daemon.md"

TOPIC = "zones"
ZONE = "block.rpz"

#: Seconds until something that must happen has not happened.
PATIENCE = 20.0

_SETTINGS = """
hostname: ns1
kafka: {{enable: true, topic: {topic}, files-dir: {files_dir}}}
filesync:
  daemon:
    adapter: unbound-example
    renew: [unbound-control, auth_zone_reload, "{{name}}"]
  files: [{{match: "*.rpz", kind: data}}]
  schedule: {{quiet: 0, min-gap: 0, backoff: 50ms, max-backoff: 50ms}}
"""

_UNBOUND = """
server:
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@{port}
  module-config: "respip iterator"
remote-control:
  control-enable: yes
  control-interface: {socket}
"""


def zone(serial: int, *records: str) -> bytes:
    """Return a zone file."""
    soa = f"@ IN SOA localhost. root.localhost. {serial} 3600 600 86400 60"
    return "\n".join([soa, "@ NS localhost.", *records, ""]).encode()


BROKEN = zone(7, "evil.example")


# The distribution


@pytest.fixture(scope="module", name="installed", autouse=True)
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the distribution; return the directory."""
    with installed(_SOURCE, _MODULE, tmp_path_factory.mktemp("third")) as target:
        yield target


def test_the_page_shows_the_whole_distribution() -> None:
    """Module and pyproject.toml, word by word; the module has at most 40 lines, blank ones too."""
    module = (_SOURCE / f"{_MODULE}.py").read_text("utf-8")
    assert module in blocks(_PAGE, "python")
    assert (_SOURCE / "pyproject.toml").read_text("utf-8") in blocks(_PAGE, "toml")
    assert len(module.splitlines()) <= 40


def test_it_is_found_by_its_entry_point(installed: Path) -> None:
    """Its own distribution has it, and its module comes from where that was installed."""
    daemon = open_daemon(_NAME, {"renew": ["true"]}, files_dir="/nowhere")

    (point,) = metadata.entry_points(group="filesync.daemons", name=_NAME)
    assert point.dist is not None
    assert point.dist.metadata["Name"] == "filesync-unbound-example"
    assert type(daemon).__module__ == _MODULE
    assert Path(str(sys.modules[_MODULE].__file__)).parent == installed


def test_the_settings_of_the_page_open_it(tmp_path: Path) -> None:
    """And an option that it does not know is told as one of a settings file."""
    (text,) = blocks(_PAGE, "yaml")
    settings = read_settings(text, source="page", default_hostname="ns1")
    transport = MemoryTransport(MemoryBroker(), TOPIC)

    assert settings.daemon.adapter == _NAME
    Receiver(settings, transport=transport)
    wrong = text.replace("renew:", "renw:")
    assert wrong != text
    settings = read_settings(wrong, source="page", default_hostname="ns1")
    with pytest.raises(SettingsError, match="renw"):
        Receiver(settings, transport=transport)


# What is asked


@define
class Site:
    """
    A files-dir, and a server of its zone file `ZONE`.

    Attributes:
        folder: Holds all of it.
        server: ``unbound``, or ``small``.
        elsewhere: Where the server looks for the file, if not in files-dir.
    """

    folder: Path
    server: str
    elsewhere: Path | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def files(self) -> Path:
        """files-dir."""
        return self.folder / "files"

    @property
    def socket(self) -> Path:
        """Where the server is controlled."""
        return self.folder / "control"

    def start(self, *names: str) -> None:
        """Start the server; return when it answers."""
        names = names or (ZONE,)
        self.socket.unlink(missing_ok=True)
        files = {name: self.elsewhere or self.files / name for name in names}
        if self.server == "unbound":
            self._write_unbound(files)
            program = str(which("unbound", path=_SBIN))
            command = [program, "-d", "-c", str(self.folder / "unbound.conf")]
        else:
            pairs = [f"{name}={path}" for name, path in files.items()]
            command = [*_SMALL, "serve", str(self.socket), *pairs]
        self.process = subprocess.Popen(command)
        eventually(self._answers, PATIENCE)

    def stop(self) -> None:
        """End the server, if it runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def write_control(self) -> None:
        """Write a program ``unbound-control`` that reaches the server."""
        words = [*_SMALL, "ask", str(self.socket)]
        if self.server == "unbound":
            program = str(which("unbound-control", path=_SBIN))
            words = [program, "-c", str(self.folder / "unbound.conf")]
        quoted = " ".join(f"'{word}'" for word in words)
        self._control.parent.mkdir()
        self._control.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n')
        self._control.chmod(0o755)

    @property
    def _control(self) -> Path:
        return self.folder / "bin" / "unbound-control"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server ended"
        asked = [str(self._control), "list_auth_zones"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def _write_unbound(self, files: dict[str, Path]) -> None:
        import socket  # noqa: PLC0415 - a property here has that name.

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        text = _UNBOUND.format(folder=self.folder, port=port, socket=self.socket)
        for name, path in files.items():
            text += f'rpz:\n  name: {name}\n  zonefile: "{path}"\n'
        (self.folder / "unbound.conf").write_text(text)


#: Where Debian has daemons; a user's PATH may lack it.
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_SMALL = (sys.executable, str(_SOURCE / "zone_server.py"))


_UNBOUND_ITSELF = pytest.param("unbound", marks=pytest.mark.daemon)


@pytest.fixture(name="site", params=["small", _UNBOUND_ITSELF])
def _site(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Site]:
    """Serve version 1 of the zone."""
    site = Site(tmp_path, request.param)
    site.files.mkdir()
    (site.files / ZONE).write_bytes(zone(1))
    site.write_control()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    try:
        site.start()
        yield site
    finally:
        site.stop()


def _daemon(**options: object) -> Daemon:
    commands = {"renew": ["unbound-control", "auth_zone_reload", "{name}"], **options}
    return open_daemon(_NAME, commands, files_dir="/nowhere")


def _changed(site: Site, data: bytes, name: str = ZONE) -> list[ChangedFile]:
    """Put *data* in place, and return what a daemon is told about it."""
    path = site.files / name
    path.write_bytes(data)
    return [ChangedFile(name=name, path=str(path), digest=b"\0" * 32, kind=Kind.DATA)]


# The adapter alone


def test_a_new_serial_is_proof(site: Site) -> None:
    """It is the one of the file, and the server lists it, which it did not before."""
    changed = _changed(site, zone(2, "evil.example CNAME ."))
    assert _daemon().renew(changed, PATIENCE) == Served("lists block.rpz. serial 2")


@pytest.mark.parametrize("site", [_UNBOUND_ITSELF], indirect=True)
def test_a_serial_in_several_lines_is_found(site: Site) -> None:
    """With comments in between, as generators write it; the small server reads no such file."""
    soa = b"$TTL 60\n@ IN SOA localhost. root.localhost. ( ; 2026\n  5 ; serial\n 1 1 1 1 )\n"
    changed = _changed(site, soa + b"@ NS localhost.\n")
    assert _daemon().renew(changed, PATIENCE) == Served("lists block.rpz. serial 5")


def test_a_serial_that_was_there_before_proves_nothing(site: Site) -> None:
    """Other bytes with the same serial are assumed, never served."""
    changed = _changed(site, zone(1, "evil.example CNAME ."))
    assert isinstance(_daemon().renew(changed, PATIENCE), Assumed)


def test_a_broken_file_is_refused_though_its_serial_is_listed(site: Site) -> None:
    """Half of it was read: the serial alone is no proof."""
    result = _daemon().renew(_changed(site, BROKEN), PATIENCE)
    assert isinstance(result, Refused)
    assert "failed to read block.rpz" in result.why
    control = ["unbound-control", "list_auth_zones"]
    assert b"serial 7" in subprocess.run(control, capture_output=True, check=True).stdout


def test_a_zone_that_the_server_does_not_have_is_refused(site: Site) -> None:
    """The answer says which."""
    result = _daemon().renew(_changed(site, zone(2), "other.rpz"), PATIENCE)
    assert isinstance(result, Refused)
    assert "other.rpz" in result.why


def test_a_server_that_reads_another_file_is_unknown(site: Site) -> None:
    """It is content, and lists another serial than the file has."""
    site.stop()
    site.elsewhere = site.folder / "elsewhere"
    site.elsewhere.write_bytes(zone(1))
    site.start()
    result = _daemon().renew(_changed(site, zone(2)), PATIENCE)
    assert result == Unknown("Unbound does not list block.rpz. serial 2")


def test_a_file_without_a_serial_is_never_served(site: Site) -> None:
    """Whatever the command says about it."""
    result = _daemon(renew=["true"]).renew(_changed(site, b"nothing\n"), PATIENCE)
    assert result == Unknown("Unbound does not list block.rpz. serial ?")


def test_every_file_counts(site: Site) -> None:
    """One that is proven does not prove the other; both are, and both are named."""
    site.stop()
    _changed(site, zone(1), "other.rpz")
    site.start(ZONE, "other.rpz")
    both = _changed(site, zone(2)) + _changed(site, zone(1), "other.rpz")
    assert isinstance(_daemon().renew(both, PATIENCE), Assumed)
    both = _changed(site, zone(3)) + _changed(site, zone(4), "other.rpz")
    proof = "lists block.rpz. serial 3, other.rpz. serial 4"
    assert _daemon().renew(both, PATIENCE) == Served(proof)


def test_no_file_proves_nothing(site: Site) -> None:
    """As with the `command` daemon."""
    assert isinstance(_daemon().renew([], PATIENCE), Assumed)


def test_a_server_that_is_down_is_unreachable(site: Site) -> None:
    """And is not asked to read anything; a program that is missing counts as that too."""
    site.stop()
    note = site.folder / "asked"
    daemon = _daemon(renew=["touch", str(note)])
    assert isinstance(daemon.renew(_changed(site, zone(2)), PATIENCE), Unreachable)
    (site.folder / "bin" / "unbound-control").unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(site.folder))
        assert isinstance(daemon.renew(_changed(site, zone(2)), PATIENCE), Unreachable)
    assert not note.exists()


@pytest.mark.parametrize("site", ["small"], indirect=True)
def test_stop_ends_what_runs(site: Site) -> None:
    """From another thread; what becomes of the files is unknown then."""
    site.stop()
    changed = _changed(site, zone(1), "endless.rpz")
    site.start("endless.rpz")
    note = site.folder / "started"
    script = f'echo > "{note}"; exec unbound-control auth_zone_reload endless.rpz'
    daemon = _daemon(renew=["/bin/sh", "-c", script])
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(daemon.renew(changed, 60)))
    thread.start()
    eventually(note.exists, PATIENCE)
    daemon.stop()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert [type(result) for result in results] == [Unknown]


# Inside a receiver


@contextmanager
def _receiving(site: Site) -> Iterator[tuple[MemoryBroker, Callable[[], ActionEnded]]]:
    """Run a receiver as its settings say; yield its log, and what returns its next action."""
    text = _SETTINGS.format(topic=TOPIC, files_dir=site.files)
    broker = MemoryBroker()
    broker.create_topic(TOPIC)
    outcomes: queue.Queue[Outcome] = queue.Queue()
    receiver = Receiver(
        read_settings(text, source="test", default_hostname="ns1"),
        transport=MemoryTransport(broker, TOPIC),
        tell=outcomes.put,
    )

    def next_action() -> ActionEnded:
        while True:
            outcome = outcomes.get(timeout=PATIENCE)
            if isinstance(outcome, ActionEnded):
                return outcome

    receiver.start()
    try:
        yield broker, next_action
    finally:
        receiver.stop()


def _send(broker: MemoryBroker, data: bytes) -> None:
    headers = [("hostname", b"ns1"), ("file-name", ZONE.encode())]
    broker.publish(TOPIC, data, headers=headers)


def test_a_file_that_is_sent_is_served_and_proven(site: Site) -> None:
    """Each version by itself; the outcome tells the serial that was read back."""
    with _receiving(site) as (broker, next_action):
        for serial in (2, 3):
            _send(broker, zone(serial))
            action = next_action()
            assert action.label == "renew_served"
            assert action.result == Served(f"lists block.rpz. serial {serial}")
            assert (site.files / ZONE).read_bytes() == zone(serial)


def test_a_file_that_the_server_cannot_read_is_told_as_refused(site: Site) -> None:
    """The next one is served."""
    with _receiving(site) as (broker, next_action):
        _send(broker, BROKEN)
        assert next_action().label == "renew_refused"
        assert next_action().label == "renew_refused"
        _send(broker, zone(8))
        assert next_action().label == "renew_served"


def test_a_server_that_comes_back_is_asked_then(site: Site) -> None:
    """Until then it is told as unreachable, and the file is in place."""
    site.stop()
    with _receiving(site) as (broker, next_action):
        _send(broker, zone(2))
        assert next_action().label == "renew_unreachable"
        assert (site.files / ZONE).read_bytes() == zone(2)
        site.start()
        # It read the new file when it started: asking again proves no more than that.
        while (action := next_action()).label == "renew_unreachable":
            pass
        assert action.label == "renew_assumed"
