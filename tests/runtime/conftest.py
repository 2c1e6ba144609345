"""What tests of what acts work with: hosts, workshops, places; each ends with its test."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from filesync.runtime import _program
from support.commands import Fifo
from support.disk import Workshop, descriptors
from support.memory_host import MemoryHost
from support.office import TOPIC, Office
from support.place import Place


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Iterator[MemoryHost]:
    """Return a host without a receiver; in the end none may hold a file of it open."""
    host = MemoryHost(tmp_path)
    yield host
    host.close()
    assert descriptors(host.files) == {}


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Iterator[Workshop]:
    """Return all that stands on a disk, on an empty files-dir."""
    (tmp_path / "files").mkdir(mode=0o755)
    with contextlib.closing(Workshop(tmp_path / "files")) as shop:
        yield shop


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Return a place for the program, where this process, too, finds its packages."""
    place = Place(tmp_path)
    monkeypatch.syspath_prepend(str(place.packages))
    yield place
    place.close()
    sys.modules.pop("sample_transport", None)


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Office:
    """Return who publishes to a topic that is there."""
    office = Office(tmp_path)
    office.broker.create_topic(TOPIC)
    return office


@pytest.fixture(name="fifo")
def _fifo(tmp_path: Path) -> Iterator[Fifo]:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield Fifo(str(path), fd)
    os.close(fd)


@pytest.fixture(name="time_is_up_once_started")
def _time_is_up_once_started(fifo: Fifo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no time pass until a program wrote to the fifo, and then more than enough."""

    def monotonic() -> float:
        return 1e9 if fifo.readable() else 0.0

    monkeypatch.setattr(_program, "time", SimpleNamespace(monotonic=monotonic))
