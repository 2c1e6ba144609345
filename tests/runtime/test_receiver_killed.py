"""A receiver that is killed: what it leaves, and that the next one carries on."""

from __future__ import annotations

import contextlib
import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pytest

from filesync.runtime import Receiver
from filesync.runtime._journal import Journal
from filesync.runtime._memory import MemoryBroker, MemoryTransport
from filesync.runtime._posix import Posix
from filesync.runtime._root import Root
from filesync.runtime._spool import Spool
from support import victim
from support.disk import P0, names_in


def check_remains(files: Path, before: dict[str, int]) -> tuple[dict[str, int], int]:
    """
    Look at what a killed process left; return the visible versions, and where to read on.

    Every file is whole and no older than *before*. The journal can be read;
    what it does not know of what is visible yet comes again from the log, or a
    newer version does, which was whole and kept the position where it begins.
    """
    with (
        contextlib.closing(Root(str(files), Posix())) as root,
        contextlib.closing(Journal(root)) as journal,
    ):
        ledger = journal.ledger
        position = ledger.positions.get(P0, 0)
        visible = {}
        for name in victim.FILES:
            path = files / name
            backup = files / f"{name}.backup"
            if not path.exists():
                assert name not in ledger.files
                assert name not in before
                assert not backup.exists()
                continue
            visible[name] = version = victim.version_of(name, path.read_bytes())
            assert version >= before.get(name, 0)
            if backup.exists():
                assert victim.version_of(name, backup.read_bytes()) <= version
            known = ledger.files.get(name)
            if known is None or known.digest != hashlib.sha256(path.read_bytes()).digest():
                newer = max(version, (position - 1) // victim.RECORDS)
                assert position <= victim.first_record(name, newer)
        Spool(root).sweep()
    left = {name for name in names_in(files) if (files / name).is_file()}
    assert left <= {*victim.FILES, *(f"{name}.backup" for name in victim.FILES)}
    return visible, position


def test_a_kill_at_any_moment_costs_nothing(tmp_path: Path) -> None:
    """Twenty times: old or new, whole, the journal readable; in the end the newest is there."""
    files = tmp_path / "files"
    files.mkdir()
    visible: dict[str, int] = {}
    versions = 1
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-W", "error", victim.__file__, str(files), str(versions)],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(random.randint(1, 12)):
                assert process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(random.uniform(0, 0.03))
            process.kill()
        visible, position = check_remains(files, visible)
        # The log of the next one goes at least as far as this one's did, as far as is known.
        read = -(-position // victim.RECORDS)
        versions = max(versions, read, *(version + 1 for version in visible.values()))
    assert min(visible.values()) > 0, "nothing was ever committed"

    broker = MemoryBroker()
    broker.create_topic(victim.TOPIC)
    versions += 1
    for version in range(versions):
        victim.publish(broker, version)
    Receiver(
        victim.settings(str(files)),
        transport=MemoryTransport(broker, victim.TOPIC),
        finish_when_caught_up=True,
        tell=lambda _: None,
    ).run()
    for name in victim.FILES:
        assert victim.version_of(name, (files / name).read_bytes()) == versions - 1
