"""
A third party's transport, an SQLite log, keeps the contract like ours.

It is a distribution of its own, in ``tests/third_transport``, and nothing here
imports it: it is found by its entry point, as it would be on a host.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from filesync import CaughtUp, KafkaSettings, Schedule, Settings, TransferEnded
from filesync.daemon import ActionResult, CheckPassed, CheckResult, Served
from filesync.runtime import Receiver
from filesync.testing import OpenTransport, TransportContract
from filesync.transport import Transport, open_transport
from support.installed import installed
from support.sqlite_log import SqliteLog

_SOURCE = Path(__file__).parents[1] / "third_transport"
_NAME = "sqlite-example"
_MODULE = "filesync_sqlite_example"

_Open = Callable[[SqliteLog, str], Transport]


@pytest.fixture(scope="module", name="installed")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install the distribution; return the directory."""
    with installed(_SOURCE, _MODULE, tmp_path_factory.mktemp("third")) as target:
        yield target


def _settings(log: SqliteLog, topic: str, files_dir: str = "/nowhere") -> Settings:
    options = {_NAME: {"path": log.address}}
    kafka = KafkaSettings(topic=topic, files_dir=files_dir, options=options)
    at_once = Schedule(quiet=0.0, min_gap=0.0)
    return Settings(hostname="ns1", driver=_NAME, kafka=kafka, schedule=at_once)


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> SqliteLog:
    return SqliteLog(tmp_path / "log.sqlite")


class TestSqlite(TransportContract):
    """Unchanged, and nothing left out."""

    @pytest.fixture(name="open_transport")
    def _open_transport(self, installed: Path, log: SqliteLog) -> Iterator[OpenTransport]:
        opened: list[Transport] = []

        def open_on(topic: str) -> Transport:
            opened.append(open_transport(_NAME, _settings(log, topic)))
            return opened[-1]

        yield open_on
        for transport in opened:
            transport.close(1)


def test_it_is_found_by_its_entry_point(installed: Path, log: SqliteLog) -> None:
    """Its own distribution has it, and its module comes from where that was installed."""
    transport = open_transport(_NAME, _settings(log, "zones"))

    (point,) = metadata.entry_points(group="filesync.transports", name=_NAME)
    assert point.dist is not None
    assert point.dist.metadata["Name"] == "filesync-sqlite-example"
    assert type(transport).__module__ == _MODULE
    assert Path(str(sys.modules[_MODULE].__file__)).parent == installed


class _Daemon:
    """Serves whatever it is given."""

    def check(self, staged: str, name: str) -> CheckResult:
        return CheckPassed()

    def reload(self, changed: object, timeout: float) -> ActionResult:
        return Served("seen")

    renew = reload

    def stop(self) -> None:
        """Nothing runs."""


@pytest.mark.usefixtures("installed")
def test_a_file_sent_through_it_arrives_on_disk(tmp_path: Path, log: SqliteLog) -> None:
    """The receiver opens it by name, and knows by it when it has caught up."""
    files = tmp_path / "files"
    files.mkdir()
    log.create_topic("zones", 2)
    for index, piece in enumerate((b"one ", b"two ", b"three")):
        chunk = [("total-chunks", b"3"), ("chunk-index", b"%d" % (index + 1))]
        names = [("hostname", b"ns1"), ("file-name", b"block.rpz")]
        log.publish("zones", piece, headers=names + chunk, partition=1)
    outcomes: list[object] = []
    receiver = Receiver(
        _settings(log, "zones", str(files)),
        daemon=_Daemon(),
        tell=outcomes.append,
        finish_when_caught_up=True,
    )

    receiver.run()

    assert (files / "block.rpz").read_bytes() == b"one two three"
    assert [each.name for each in outcomes if isinstance(each, TransferEnded)] == ["block.rpz"]
    assert any(isinstance(each, CaughtUp) for each in outcomes)
