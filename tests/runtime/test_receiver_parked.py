"""A configuration that comes before the file it names, with a check that is a program."""

from __future__ import annotations

from filesync import CommitParked, Ending
from filesync.runtime import open_command_daemon
from support.disk import names_in
from support.memory_host import MemoryHost

_CHECK = 'test -e "$1/b.rpz" || { echo "missing: b.rpz"; exit 75; }'
CONFIG = b"local-data:\n  rpz: [b.rpz]\n"


def test_it_becomes_visible_when_the_file_comes(host: MemoryHost) -> None:
    """Till then it is staged, the reason is told, and nobody sends anything again."""
    options = {
        "check": ["sh", "-c", _CHECK, "check", "{dir}"],
        "reload": ["true"],
        "renew": ["true"],
    }
    receiver = host.start(daemon=open_command_daemon(options, files_dir=str(host.files)))
    host.send("c.yaml", CONFIG[:9], CONFIG[9:], order=[1, 0])
    parked, _ = host.wait_for(CommitParked)
    assert str(parked).startswith("c.yaml from files[0]@0: files that it names are missing: b.rpz")
    assert receiver.stats().parked_commits == 1
    assert "c.yaml" not in names_in(host.files)
    host.send("b.rpz", b"bee")
    host.wait_until("b.rpz")
    host.wait_until("c.yaml", Ending.COMMITTED)
    assert host.read("c.yaml") == CONFIG
    assert names_in(host.files) == ["b.rpz", "c.yaml"]
