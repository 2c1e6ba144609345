"""One durable replacement after another: in which order, what readers see, what is kept."""

from __future__ import annotations

import errno
import hashlib
import os
import threading

import pytest

from filesync import Ending
from filesync._plan import Committed, Failed, PlanResult
from support.disk import IS_ROOT, P0, STRANGER, Killed, Workshop, names_in
from support.replacing import NEW, OLD, ORDER, PIECES, commits, ending

#: Group and owner, one by one, where a file is not ours.
CHOWNS = ["chown c.yaml.tmp"] * 2 if IS_ROOT else []


# The order of the calls


def test_the_order_of_the_calls_is_the_order_of_commit(shop: Workshop) -> None:
    """Staged, dressed, synced, checked, kept, renamed, made durable, recorded: in that order."""
    shop.daemon.meanwhile = lambda _: shop.disk.calls.append("check")
    shop.put("b/c.yaml", OLD)
    os.chown(shop.path / "b" / "c.yaml", *STRANGER)
    plan = shop.store("b/c.yaml", PIECES, order=ORDER)
    del shop.disk.calls[:]
    assert isinstance(shop.perform(plan), Committed)
    told = ("rename", "link", "chown", "chmod", "set_time", "sync", "check", "write_at", "copy ")
    assert [call for call in shop.disk.calls if call.startswith(told)] == [
        "copy 3 1",
        "copy 4 1",
        "rename 1 c.yaml.tmp",
        *CHOWNS,
        "chmod c.yaml.tmp",
        "set_time c.yaml.tmp",
        "sync c.yaml.tmp",
        "check",
        "link c.yaml c.yaml.backup.tmp",
        "rename c.yaml.backup.tmp c.yaml.backup",
        "rename c.yaml.tmp c.yaml",
        "sync b",
        "write_at journal",
        "sync journal",
    ]


def test_a_new_file_has_nothing_to_keep(shop: Workshop) -> None:
    """Where nothing was, nothing is backed up; data is not checked."""
    plan = shop.store("a.rpz", [OLD])
    del shop.disk.calls[:]
    assert isinstance(shop.perform(plan), Committed)
    told = ("rename", "link", "sync", "write_at", "copy")
    assert [call for call in shop.disk.calls if call.startswith(told)] == [
        "rename 1 a.rpz.tmp",
        "sync a.rpz.tmp",
        "rename a.rpz.tmp a.rpz",
        "sync .",
        "write_at journal",
        "sync journal",
    ]
    assert shop.daemon.seen == []
    assert names_in(shop.path) == ["a.rpz"]


def test_the_very_inode_that_was_synced_and_checked_becomes_visible(shop: Workshop) -> None:
    """Between its fsync, its check and its rename a file is never copied."""
    inodes = []
    shop.daemon.meanwhile = lambda path: inodes.append(os.stat(path).st_ino)
    shop.put("c.yaml", NEW)
    assert inodes == [(shop.path / "c.yaml").stat().st_ino]
    assert inodes[0] in shop.disk.synced


def test_a_commit_says_all_there_is_to_say(shop: Workshop) -> None:
    """Its entry has name, kind, digest, size, origin, and the positions of its plan."""
    result = shop.put("b/c.yaml", *PIECES, order=ORDER, positions={P0: 99})
    assert isinstance(result, Committed)
    entry = commits(shop)[0]
    assert entry.file == result.file == shop.journal.ledger.files["b/c.yaml"]
    assert entry.file.digest == hashlib.sha256(NEW).digest()
    assert (entry.file.size, entry.file.sequence) == (len(NEW), 1)
    assert entry.positions == {P0: 99}


def test_an_empty_file_is_a_file(shop: Workshop) -> None:
    """No bytes are bytes too."""
    assert isinstance(shop.put("a.rpz", b""), Committed)
    assert (shop.path / "a.rpz").read_bytes() == b""


# What readers see


def test_readers_see_old_or_new_and_never_nothing(shop: Workshop) -> None:
    """Whoever opens the file, or its backup, at any moment finds a whole version."""
    versions = [b"%d" % number * (1000 + number) for number in range(80)]
    shop.put("a.rpz", versions[0])
    shop.put("a.rpz", versions[1])
    stop = threading.Event()
    seen: set[bytes] = set()
    problems: list[OSError] = []

    def read() -> None:
        try:
            while not stop.is_set():
                seen.update((shop.path / name).read_bytes() for name in ("a.rpz", "a.rpz.backup"))
        except OSError as exc:
            problems.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in versions[2:]:
            assert isinstance(shop.put("a.rpz", version[:500], version[500:]), Committed)
    finally:
        stop.set()
        reader.join()
    assert problems == []
    assert len(seen) > 2
    assert seen <= set(versions)


def test_the_backup_is_the_old_inode(shop: Workshop) -> None:
    """Not a copy: the old file itself, with owner, mode and time, under a second name."""
    shop.put("a.rpz", b"one")
    shop.put("a.rpz", b"two")
    before = (shop.path / "a.rpz").stat()
    shop.put("a.rpz", b"three")
    kept = (shop.path / "a.rpz.backup").stat()
    assert (kept.st_ino, kept.st_mode, kept.st_mtime_ns) == (
        before.st_ino,
        before.st_mode,
        before.st_mtime_ns,
    )
    assert (shop.path / "a.rpz.backup").read_bytes() == b"two"
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_links_are_refused_the_backup_is_a_copy(shop: Workshop, error: int) -> None:
    """Same bytes, owner, mode and time, durable before the rename; and nothing else changes."""
    live, backup = shop.path / "a.rpz", shop.path / "a.rpz.backup"
    shop.put("a.rpz", OLD)
    os.chown(live, *STRANGER)
    live.chmod(0o604)
    os.utime(live, (1.5e9, 1.5e9))
    shop.disk.refuse("link", error)
    assert isinstance(shop.put("a.rpz", NEW), Committed)
    info = backup.stat()
    assert backup.read_bytes() == OLD
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (*STRANGER, 0o604)
    assert info.st_mtime == 1.5e9
    calls = shop.disk.calls
    assert calls.index("sync a.rpz.backup.tmp") < calls.index("rename a.rpz.tmp a.rpz", 50)
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


def test_a_backup_that_cannot_be_given_away_is_still_a_backup(shop: Workshop) -> None:
    """A copy that stays ours is better than none."""
    shop.put("a.rpz", OLD)
    shop.disk.refuse_always("link", errno.EPERM)
    shop.disk.refuse_always("chown a.rpz.backup.tmp", errno.EPERM)
    assert isinstance(shop.put("a.rpz", NEW), Committed)
    assert (shop.path / "a.rpz.backup").read_bytes() == OLD


# Unchanged, or not


def test_the_same_version_again_is_unchanged(shop: Workshop) -> None:
    """Nothing is touched: inode, time, backup and journal stay; what was stored of it goes."""
    shop.put("a.rpz", OLD)
    shop.put("a.rpz", NEW)
    before = (shop.path / "a.rpz").stat()
    assert ending(shop.put("a.rpz", *PIECES, order=ORDER)) is Ending.UNCHANGED
    after = (shop.path / "a.rpz").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (shop.path / "a.rpz.backup").read_bytes() == OLD
    assert len(commits(shop)) == 2
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


def test_the_bytes_on_disk_prove_nothing(shop: Workshop) -> None:
    """A crash before the record: the version is recorded, and needs its action, unrenamed."""
    shop.put("a.rpz", OLD)

    def crash(call: str) -> None:
        if call == "rename a.rpz.tmp a.rpz":
            raise Killed

    shop.disk.after = crash
    with pytest.raises(Killed):
        shop.put("a.rpz", NEW)
    before = (shop.path / "a.rpz").stat()
    assert (shop.path / "a.rpz").read_bytes() == NEW
    shop.restart()
    shop.disk.after = lambda _: None
    del shop.disk.calls[:]
    result = shop.put("a.rpz", *PIECES, order=ORDER)
    assert isinstance(result, Committed)
    assert not [call for call in shop.disk.calls if call.startswith(("rename a", "link"))]
    assert "sync ." in shop.disk.calls
    assert before.st_ino in shop.disk.synced, "whoever wrote them"
    after = (shop.path / "a.rpz").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert (shop.path / "a.rpz.backup").read_bytes() == OLD
    assert [file.digest for file in shop.journal.ledger.needs] == [hashlib.sha256(NEW).digest()]
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


def test_what_is_visible_already_must_be_recorded(shop: Workshop) -> None:
    """Bytes that were there before and are not in the journal: no newer version may hide them."""
    (shop.path / "a.rpz").write_bytes(NEW)
    shop.disk.refuse("write_at journal", errno.ENOSPC)
    result = shop.put("a.rpz", NEW)
    assert isinstance(result, Failed)
    assert result.visible


@pytest.mark.parametrize("edit", [b"edited by hand", b"x" * len(NEW), None], ids=str)
def test_the_journal_alone_proves_nothing(shop: Workshop, edit: bytes | None) -> None:
    """A file that was edited or removed by hand is put back; the edit is kept as the backup."""
    shop.put("a.rpz", NEW)
    live = shop.path / "a.rpz"
    live.unlink()
    if edit is not None:
        live.write_bytes(edit)
    assert isinstance(shop.put("a.rpz", NEW), Committed)
    assert live.read_bytes() == NEW
    if edit is not None:
        assert (shop.path / "a.rpz.backup").read_bytes() == edit
    assert [file.sequence for file in shop.journal.ledger.needs] == [2]


# Side by side


def test_two_lanes_do_not_disturb_each_other(shop: Workshop) -> None:
    """Data and configurations are put in place side by side, each recorded under its own number."""
    plans = {
        kind: [shop.store(f"{kind}/{number}.{kind}", PIECES, order=ORDER) for number in range(20)]
        for kind in ("rpz", "yaml")
    }
    hashed = {
        plan.id: shop.spool.seal(plan.transfer, plan.segments)
        for both in plans.values()
        for plan in both
    }
    results: list[PlanResult] = []

    def run(kind: str) -> None:
        results.extend(shop.replacer.perform(plan, hashed[plan.id]) for plan in plans[kind])

    lanes = [threading.Thread(target=run, args=(kind,)) for kind in plans]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    sequences = [result.file.sequence for result in results if isinstance(result, Committed)]
    assert sorted(sequences) == list(range(1, 41))
    files = [f"{kind}/{number}.{kind}" for kind in plans for number in range(20)]
    assert names_in(shop.path) == sorted([*plans, *files])
    assert {(shop.path / name).read_bytes() for name in files} == {NEW}
