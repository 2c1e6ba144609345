"""One durable replacement after another: old or new, never neither, whatever fails."""

from __future__ import annotations

import contextlib
import errno
import grp
import hashlib
import os
import pwd
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from filesync import Ending
from filesync._ledger import FileCommitted, decode
from filesync._model import Claims
from filesync._plan import Committed, Failed, NotCommitted, Plan, PlanResult
from filesync.daemon import CheckFailed, CheckPassed, CheckUnavailable
from support.disk import CALLS, IS_ROOT, P0, STRANGER, Disk, Killed, Workshop, descriptors, names_in

OLDER, OLD, NEW = b"older: 1\n", b"old: 1\n", b"new: 1\n# longer than the old one\n"

#: The new file in four chunks, which arrive as three segments.
PIECES, ORDER = [NEW[:9], NEW[9:14], NEW[14:20], NEW[20:]], [3, 2, 0, 1]

#: files-dir, our own directory, the lock and the journal.
HELD = 4

#: Group and owner, one by one, where a file is not ours.
CHOWNS = ["chown c.yaml.tmp"] * 2 if IS_ROOT else []

#: Errors of the disk as a whole, which pass.
PASSING = [errno.EIO, errno.ENOSPC]

#: Errors of the place, which do not pass by themselves.
LASTING = [errno.EACCES, errno.EPERM, errno.EISDIR]


needs_root = pytest.mark.skipif(
    not IS_ROOT, reason="this environment does not promise root: only it may give files away"
)


@pytest.fixture(name="shop")
def _shop(tmp_path: Path) -> Iterator[Workshop]:
    (tmp_path / "files").mkdir(mode=0o755)
    with contextlib.closing(Workshop(tmp_path / "files")) as shop:
        yield shop


def commits(shop: Workshop) -> list[FileCommitted]:
    """Return the commits that are in the journal."""
    entries, _ = decode((shop.path / ".filesync" / "journal").read_bytes())
    return [entry for entry in entries if isinstance(entry, FileCommitted)]


def ending(result: PlanResult) -> Ending:
    """Return how a plan that brought no new file ended."""
    assert isinstance(result, NotCommitted), result
    return result.ending


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


# Owner, mode, time


def test_owner_and_mode_are_those_of_the_file_before(shop: Workshop) -> None:
    """Whatever the settings say of new files, an existing one keeps what it has."""
    live = shop.path / "a.rpz"
    shop.put("a.rpz", OLD)
    os.chown(live, *STRANGER)
    live.chmod(0o4604)
    assert isinstance(shop.put("a.rpz", NEW, owner="root", group="root", mode=0o600), Committed)
    info = live.stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (*STRANGER, 0o4604)


def test_a_new_file_belongs_to_whom_files_dir_belongs(shop: Workshop) -> None:
    """Where the settings say nothing: owner and group of files-dir, mode 0640."""
    other = (1, 1) if IS_ROOT else STRANGER
    os.chown(shop.path, *STRANGER)
    shop.restart()
    old_mask = os.umask(0o077)
    try:
        shop.put("a.rpz", NEW)
        user, group = pwd.getpwuid(other[0]).pw_name, grp.getgrgid(other[1]).gr_name
        shop.put("b.rpz", NEW, owner=user, group=group, mode=0o604)
    finally:
        os.umask(old_mask)
    info = (shop.path / "a.rpz").stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (*STRANGER, 0o640)
    info = (shop.path / "b.rpz").stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (*other, 0o604)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"owner": "no-such-user"}, "filesync.file-owner: there is no user 'no-such-user'"),
        ({"group": "no-such-group"}, "filesync.file-group: there is no group 'no-such-group'"),
    ],
)
def test_an_unknown_account_is_waited_for(
    shop: Workshop, changes: dict[str, Any], why: str
) -> None:
    """It is not the file's fault: nothing becomes visible, and it is tried again."""
    plan = shop.store("a.rpz", [NEW], **changes)
    assert shop.perform(plan) == Failed(detail=why)
    assert not (shop.path / "a.rpz").exists()


@needs_root
def test_without_the_right_to_its_group_a_file_stays_as_it_was(shop: Workshop) -> None:
    """Readers that come by the group could not read it, so it is told and tried again."""
    os.chown(shop.path, 0, STRANGER[1])
    shop.restart()
    shop.disk.refuse_always("chown", errno.EPERM)
    plan = shop.store("a.rpz", [NEW])
    result = shop.perform(plan)
    assert isinstance(result, Failed)
    assert result.detail.startswith(f"its group cannot be {STRANGER[1]}: run filesync as root")
    assert names_in(shop.path) == ["a.rpz.chunks", "a.rpz.chunks/0-1-0", "a.rpz.tmp"]
    shop.disk.allow()
    assert isinstance(shop.perform(plan), Committed)
    assert (shop.path / "a.rpz").stat().st_gid == STRANGER[1]


@needs_root
def test_without_the_right_to_its_owner_the_group_is_enough(shop: Workshop) -> None:
    """Only root may give a file away; it becomes visible, with its group and mode."""
    shop.put("a.rpz", OLD)
    os.chown(shop.path / "a.rpz", *STRANGER)
    plan = shop.store("a.rpz", [NEW])
    shop.disk.refuse("chown a.rpz.tmp", errno.EPERM, skip=1)
    assert isinstance(shop.perform(plan), Committed)
    info = (shop.path / "a.rpz").stat()
    assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (0, STRANGER[1], 0o640)


@needs_root
def test_nobody_else_can_read_a_file_that_is_not_dressed_yet(shop: Workshop) -> None:
    """Until its owner and mode are set a staged file is ours alone."""
    modes = []

    def look(call: str) -> None:
        if call.startswith(("rename 1", "chown", "chmod")):
            modes.append((shop.path / "a.rpz.tmp").stat().st_mode & 0o777)

    os.chown(shop.path, *STRANGER)
    shop.restart()
    shop.disk.after = look
    shop.put("a.rpz", NEW, mode=0o644)
    assert modes == [0o600, 0o600, 0o600, 0o644]


@pytest.mark.parametrize("behind", [0.0, 0.9, 1.0, 3600.5, 86400.0 * 3650])
def test_the_time_of_a_file_grows_by_a_second_or_more(shop: Workshop, behind: float) -> None:
    """Daemons compare whole seconds, and a clock may stand or go back."""
    shop.put("a.rpz", OLD)
    before = (shop.path / "a.rpz").stat().st_mtime
    shop.now -= behind
    shop.put("a.rpz", NEW)
    after = (shop.path / "a.rpz").stat().st_mtime
    assert int(after) == int(before) + 1
    shop.now += behind + 100
    shop.put("a.rpz", OLD)
    assert (shop.path / "a.rpz").stat().st_mtime == pytest.approx(shop.now, abs=1e-6)


# Refused


def _symlink(path: Path) -> None:
    path.symlink_to(path.parent.parent / "outside" / "secret")


def _dangling(path: Path) -> None:
    path.symlink_to(path.parent.parent / "outside" / "nothing")


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (_symlink, "a symbolic link"),
        (_dangling, "a symbolic link"),
        (Path.mkdir, "a directory"),
        (os.mkfifo, "neither a file nor a directory"),
    ],
    ids=["symlink", "dangling", "directory", "fifo"],
)
def test_only_a_regular_file_is_replaced(
    tmp_path: Path, shop: Workshop, make: Callable[[Path], object], shape: str
) -> None:
    """Whatever else stands there stays, is told, and nothing outside is touched."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(NEW)
    make(shop.path / "a.rpz")
    before = names_in(tmp_path)
    stood = (shop.path / "a.rpz").lstat()
    for data in (NEW, OLD):
        result = shop.put("a.rpz", data)
        assert isinstance(result, NotCommitted)
        assert result.ending is Ending.REFUSED_NAME
        assert result.detail == f"{shape} stands in its place; remove it, and send it again"
    assert names_in(tmp_path) == before
    assert (shop.path / "a.rpz").lstat().st_ino == stood.st_ino
    assert (outside / "secret").read_bytes() == NEW
    assert commits(shop) == []


def test_a_directory_that_became_a_link_is_refused(tmp_path: Path, shop: Workshop) -> None:
    """Between the last chunk and the commit the way may be changed: it leads nowhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    plan = shop.store("b/a.rpz", [NEW])
    (shop.path / "b").rename(outside / "b")
    (shop.path / "b").symlink_to(outside / "b")
    before = names_in(outside)
    assert ending(shop.perform(plan)) is Ending.REFUSED_NAME
    assert names_in(outside) == before
    assert commits(shop) == []


def test_a_mount_is_refused(shop: Workshop) -> None:
    """A file that is mounted cannot be renamed over; it is never written in place."""
    shop.put("a.rpz", OLD)
    shop.disk.refuse("rename a.rpz.tmp a.rpz", errno.EBUSY)
    result = shop.put("a.rpz", NEW)
    assert isinstance(result, NotCommitted)
    assert result.ending is Ending.REFUSED_NAME
    assert "a file system is mounted on it; remove that" in result.detail
    assert (shop.path / "a.rpz").read_bytes() == OLD
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


@pytest.mark.parametrize("name", ["a.rpz.tmp", "a.rpz.backup", "a.rpz.backup.tmp"])
def test_a_directory_in_the_way_of_our_own_names_is_refused(shop: Workshop, name: str) -> None:
    """What we need to put beside the file cannot be put there: told, and nothing is left."""
    shop.put("a.rpz", OLD)
    (shop.path / name).mkdir()
    result = shop.put("a.rpz", NEW)
    assert isinstance(result, NotCommitted)
    assert result.ending is Ending.REFUSED_NAME
    assert "a directory stands in its place; remove that" in result.detail
    assert (shop.path / "a.rpz").read_bytes() == OLD
    assert names_in(shop.path) == ["a.rpz", name]


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (Claims(size=len(NEW) + 1), Ending.SIZE_MISMATCH),
        (Claims(digest=hashlib.sha256(OLD).digest()), Ending.DIGEST_MISMATCH),
    ],
)
def test_what_contradicts_its_sender_is_refused(
    shop: Workshop, claims: Claims, expected: Ending
) -> None:
    """Another size or digest than was announced: the old file stays, and nothing is left."""
    shop.put("a.rpz", OLD)
    plan = shop.store("a.rpz", PIECES, order=ORDER, claims=claims)
    assert ending(shop.perform(plan)) is expected
    assert (shop.path / "a.rpz").read_bytes() == OLD
    assert names_in(shop.path) == ["a.rpz"]


def test_the_digest_is_that_of_the_bytes_on_disk(shop: Workshop) -> None:
    """What was changed behind our back, in a segment that is read again, is noticed."""
    claims = Claims(size=len(NEW), digest=hashlib.sha256(NEW).digest())
    plan = shop.store("a.rpz", PIECES, order=ORDER, claims=claims)
    segment = shop.path / "a.rpz.chunks" / str(plan.transfer) / "3"
    segment.write_bytes(b"?" * segment.stat().st_size)
    assert ending(shop.perform(plan)) is Ending.DIGEST_MISMATCH
    assert names_in(shop.path) == []


def test_a_chunk_that_is_not_stored_is_waited_for(shop: Workshop) -> None:
    """A plan that comes before all its chunks fails, and succeeds once they are there."""
    appends, whole = shop.arrive("a.rpz", PIECES, order=ORDER)
    plan = shop.plan(whole)
    for effect in (appends[0], appends[1]):
        shop.spool.append(effect)
    assert shop.perform(plan) == Failed(detail="No such file or directory")
    shop.spool.append(appends[2])
    assert shop.perform(plan) == Failed(detail="chunks from 1 on are not stored yet")
    shop.spool.append(appends[3])
    assert isinstance(shop.perform(plan), Committed)
    assert (shop.path / "a.rpz").read_bytes() == NEW
    assert names_in(shop.path) == ["a.rpz"]


# Checked


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("c.yaml", b"a: [\n", "c.yaml"),
        ("c.yaml", b"a: 1\na: 2\n", "c.yaml"),
        ("c.json", b'{"a": 1', "c.json"),
        ("c.yaml", b"a: \xff\n", "c.yaml"),
        ("c.yaml", b"# " + b"x" * (1 << 20), "c.yaml"),
    ],
    ids=["yaml", "twice", "json", "bytes", "size"],
)
def test_an_invalid_configuration_is_refused(
    shop: Workshop, name: str, data: bytes, why: str
) -> None:
    """The joined file is parsed before the daemon sees it; the old file stays, nothing is left."""
    shop.put(name, b"{}")
    shop.daemon.seen.clear()
    result = shop.put(name, data[: len(data) // 2], data[len(data) // 2 :], order=[1, 0])
    assert isinstance(result, NotCommitted)
    assert result.ending is Ending.INVALID
    assert result.detail.endswith("; the old file stays")
    assert shop.daemon.seen == []
    assert (shop.path / name).read_bytes() == b"{}"
    assert names_in(shop.path) == [name]
    assert len(commits(shop)) == 1


def test_the_daemon_judges_the_staged_file(shop: Workshop) -> None:
    """It is shown the joined file, under its staged path, and told its name."""
    shop.put("b/c.yaml", OLD)
    shop.put("b/c.yaml", *PIECES, order=ORDER)
    staged = str(shop.path / "b" / "c.yaml.tmp")
    assert shop.daemon.seen == [(staged, "b/c.yaml", OLD), (staged, "b/c.yaml", NEW)]


def test_what_the_daemon_refuses_does_not_become_visible(shop: Workshop) -> None:
    """Its words are the reason; the old file stays, and nothing is left."""
    shop.put("c.yaml", OLD)
    shop.daemon.answer = CheckFailed("line 1: no such option")
    result = shop.put("c.yaml", NEW)
    assert result == NotCommitted(
        ending=Ending.INVALID, detail="line 1: no such option; the old file stays"
    )
    assert (shop.path / "c.yaml").read_bytes() == OLD
    assert names_in(shop.path) == ["c.yaml"]


def test_a_checker_that_cannot_run_is_waited_for(shop: Workshop) -> None:
    """It is not the file's fault: the same plan succeeds once the checker runs."""
    shop.put("c.yaml", OLD)
    shop.daemon.answer = CheckUnavailable("out of memory")
    plan = shop.store("c.yaml", PIECES, order=ORDER)
    assert shop.perform(plan) == Failed(detail="it cannot be checked: out of memory")
    assert (shop.path / "c.yaml").read_bytes() == OLD
    shop.daemon.answer = CheckPassed()
    assert isinstance(shop.perform(plan), Committed)
    assert (shop.path / "c.yaml").read_bytes() == NEW
    assert names_in(shop.path) == ["c.yaml", "c.yaml.backup"]


def _grow(path: str) -> None:
    with open(path, "ab") as file:
        file.write(b"more: 1\n")


def _swap(path: str) -> None:
    Path(path).rename(path + ".moved")
    Path(path).write_bytes(NEW)


def _rewrite(path: str) -> None:
    Path(path).write_bytes(b"x" * len(NEW))


def _remove(path: str) -> None:
    Path(path).unlink()


@pytest.mark.parametrize("tamper", [_grow, _swap, _rewrite, _remove])
def test_what_is_changed_while_it_is_checked_is_refused(
    shop: Workshop, tamper: Callable[[str], None]
) -> None:
    """The file that was judged is the file that becomes visible, or none does."""
    shop.put("c.yaml", OLD)
    shop.daemon.meanwhile = tamper
    result = shop.put("c.yaml", NEW)
    assert isinstance(result, NotCommitted)
    assert result.ending is Ending.INVALID
    assert result.detail.startswith("the staged file was changed while it was checked")
    assert (shop.path / "c.yaml").read_bytes() == OLD
    assert not (shop.path / "c.yaml.tmp").exists()


# Whatever fails


class Case:
    """A replacement that is about to happen, prepared anew for every fault."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir()
        self.shop = Workshop(folder)
        self.name = name
        self.live = folder / name
        self.backup = folder / f"{name}.backup"

    def expect_whole(self) -> None:
        """Whatever happened, readers find the old file or the new one."""
        assert self.live.read_bytes() in (OLD, NEW)

    def expect_done(self) -> None:
        """The new file is visible, recorded once, and the old one is its backup."""
        assert self.live.read_bytes() == NEW
        assert self.backup.read_bytes() == OLD
        recorded = [entry.file for entry in commits(self.shop) if entry.file.sequence > 2]
        assert [file.digest for file in recorded] == [hashlib.sha256(NEW).digest()]
        assert self.shop.journal.ledger.files == {self.name: recorded[0]}

    def prepare(self) -> Plan:
        """Return the plan for the third version of the file."""
        self.shop.put(self.name, OLDER)
        self.shop.put(self.name, OLD)
        os.chown(self.live, *STRANGER)
        return self.shop.store(self.name, PIECES, order=ORDER)


def faults(
    folder: Path, name: str, call: str, error: int
) -> Iterator[tuple[Case, Plan, PlanResult]]:
    """Yield a replacement, and how it ended, once for each *call* of it that failed."""
    number = hits = 0
    while hits == number:
        case = Case(folder / str(number), name)
        plan = case.prepare()
        hashed = case.shop.seal(plan)
        del case.shop.disk.calls[:]
        case.shop.disk.refuse(call, error, skip=number)
        result = case.shop.replacer.perform(plan, hashed)
        case.shop.disk.allow()
        assert len(descriptors(case.shop.path)) == HELD
        case.expect_whole()
        hits += case.shop.disk.refused
        number += 1
        yield case, plan, result
        case.shop.close()
    assert hits, f"{call} is never called"


#: All that a replacement calls.
USED = sorted(
    {*CALLS}
    - {"open_root", "make_directory", "lock", "create", "free_bytes"}
    - (set() if IS_ROOT else {"chown"})
)

#: What of it may fail: Linux closes a directory without fail.
FALLIBLE = [*(call for call in USED if call != "close"), "close 1", "close 3", "close c.yaml.tmp"]


def test_every_call_is_tried(tmp_path: Path) -> None:
    """The calls that are let fail below are all there are."""
    case = Case(tmp_path / "files", "b/c.yaml")
    plan = case.prepare()
    del case.shop.disk.calls[:]
    assert isinstance(case.shop.perform(plan), Committed)
    assert sorted({call.split()[0] for call in case.shop.disk.calls}) == USED
    case.expect_done()
    case.shop.close()


@pytest.mark.parametrize("error", PASSING)
@pytest.mark.parametrize("call", FALLIBLE)
def test_a_fault_that_passes_harms_nothing(tmp_path: Path, call: str, error: int) -> None:
    """Each call may fail once: readers find a whole file, and the same plan succeeds then."""
    for case, plan, result in faults(tmp_path, "b/c.yaml", call, error):
        shop, ended = case.shop, result
        if isinstance(result, Failed):
            assert result.detail == os.strerror(error)
            assert ("rename c.yaml.tmp c.yaml" in shop.disk.calls) or case.live.read_bytes() == OLD
            assert shop.journal.ledger.sequence == 2
            ended = shop.perform(plan)
        assert isinstance(ended, Committed)
        case.expect_done()
        assert case.live.stat().st_uid == case.backup.stat().st_uid == STRANGER[0]
        if ended is result:  # What could not be cleared away is swept at the next start.
            shop.spool.sweep()
        assert names_in(shop.path) == ["b", "b/c.yaml", "b/c.yaml.backup"]


@pytest.mark.parametrize("error", LASTING)
@pytest.mark.parametrize("call", FALLIBLE)
def test_a_place_that_refuses_us_harms_nothing(tmp_path: Path, call: str, error: int) -> None:
    """Told as the place's fault the plan ends, old file in place; sent again, it succeeds."""
    for case, plan, result in faults(tmp_path, "b/c.yaml", call, error):
        shop, ended = case.shop, result
        if isinstance(result, NotCommitted):
            assert result.ending is Ending.REFUSED_NAME
            assert case.live.read_bytes() == OLD
            shop.spool.sweep()
            assert names_in(shop.path) == ["b", "b/c.yaml", "b/c.yaml.backup"]
            ended = shop.put(case.name, *PIECES, order=ORDER)
        elif isinstance(result, Failed):
            assert shop.journal.ledger.sequence == 2
            ended = shop.perform(plan)
        assert isinstance(ended, Committed)
        case.expect_done()
        if ended is result:
            shop.spool.sweep()
        assert names_in(shop.path) == ["b", "b/c.yaml", "b/c.yaml.backup"]


def test_a_kill_at_any_moment_leaves_old_or_new(tmp_path: Path) -> None:
    """After each call in turn the process ends; the next one sweeps, and carries it through."""
    number, finished = 0, False
    while not finished:
        case = Case(tmp_path / str(number), "b/c.yaml")
        plan = case.prepare()
        case.shop.disk.crash_after = len(case.shop.disk.calls) + number
        with contextlib.suppress(Killed):
            case.shop.perform(plan)
            finished = True
        case.expect_whole()
        case.shop.close()
        case.shop.disk = Disk(hasty=True)
        case.shop.open()
        case.shop.spool.sweep()
        case.expect_whole()
        assert names_in(case.shop.path) == ["b", "b/c.yaml", "b/c.yaml.backup"]
        assert case.backup.read_bytes() in (OLDER, OLD)
        # What the journal says is on disk, or a newer version that comes again.
        known = case.shop.journal.ledger.files[case.name].digest
        assert known in (
            hashlib.sha256(OLD).digest(),
            hashlib.sha256(case.live.read_bytes()).digest(),
        )
        result = case.shop.put(case.name, *PIECES, order=ORDER)
        recorded = known == hashlib.sha256(NEW).digest()
        assert isinstance(result, NotCommitted if recorded else Committed)
        case.expect_done()
        assert names_in(case.shop.path) == ["b", "b/c.yaml", "b/c.yaml.backup"]
        case.shop.close()
        number += 1
    assert number > 50


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_an_inode_whose_fsync_failed_is_never_used(shop: Workshop, error: int) -> None:
    """A second fsync may report a success that is none: the bytes go to a new inode."""
    shop.put("a.rpz", OLD)
    plan = shop.store("a.rpz", PIECES, order=ORDER)
    shop.disk.refuse("sync a.rpz.tmp", error)
    del shop.disk.synced[:]
    assert shop.perform(plan) == Failed(detail=os.strerror(error))
    poisoned = shop.disk.synced.pop()
    assert (shop.path / "a.rpz.tmp").stat().st_ino == poisoned
    assert isinstance(shop.perform(plan), Committed)
    assert poisoned not in shop.disk.synced
    assert (shop.path / "a.rpz").stat().st_ino in shop.disk.synced
    assert (shop.path / "a.rpz").read_bytes() == NEW
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


@pytest.mark.parametrize("call", sorted({*CALLS} - {"open_root", "lock"}))
def test_the_copy_to_a_new_inode_may_fail_too(tmp_path: Path, call: str) -> None:
    """One fault while another is mended: nothing is lost, and the third try succeeds."""
    number = 0
    while True:
        (tmp_path / str(number)).mkdir()
        with contextlib.closing(Workshop(tmp_path / str(number))) as shop:
            plan = shop.store("a.rpz", PIECES, order=ORDER)
            shop.disk.refuse("sync a.rpz.tmp")
            assert isinstance(shop.perform(plan), Failed)
            # Open, so that its number is not given away.
            with (shop.path / "a.rpz.tmp").open("rb") as poisoned:
                shop.disk.refuse(call, skip=number)
                result = shop.perform(plan)
                if isinstance(result, Failed):
                    result = shop.perform(plan)
                assert isinstance(result, Committed)
                assert (shop.path / "a.rpz").read_bytes() == NEW
                assert (shop.path / "a.rpz").stat().st_ino != os.fstat(poisoned.fileno()).st_ino
            done = shop.disk.refused < 2
            shop.disk.allow()
        if done:
            break
        number += 1


def test_bytes_that_read_back_otherwise_do_not_become_visible(shop: Workshop) -> None:
    """After a failed fsync the page cache may hold what the disk does not: it is compared."""
    shop.put("a.rpz", OLD)
    plan = shop.store("a.rpz", PIECES, order=ORDER)
    shop.disk.refuse("sync a.rpz.tmp")
    assert isinstance(shop.perform(plan), Failed)
    (shop.path / "a.rpz.tmp").write_bytes(b"?" * len(NEW))
    result = shop.perform(plan)
    assert isinstance(result, Failed)
    assert result.detail == "the staged file reads back other bytes than were written"
    assert (shop.path / "a.rpz").read_bytes() == OLD


def test_a_directory_that_could_not_be_synced_is_synced_again(shop: Workshop) -> None:
    """Readers see the new file already: it is not renamed again, only made durable and recorded."""
    shop.put("b/a.rpz", OLD)
    plan = shop.store("b/a.rpz", [NEW])
    shop.disk.refuse("sync b")
    assert shop.perform(plan) == Failed(detail="Input/output error", visible=True)
    assert (shop.path / "b" / "a.rpz").read_bytes() == NEW
    assert len(commits(shop)) == 1
    del shop.disk.calls[:]
    assert isinstance(shop.perform(plan), Committed)
    acted = ("rename", "link", "sync", "write_at")
    assert [call for call in shop.disk.calls if call.startswith(acted)] == [
        "sync b",
        "write_at journal",
        "sync journal",
    ]
    assert (shop.path / "b" / "a.rpz.backup").read_bytes() == OLD
    assert names_in(shop.path) == ["b", "b/a.rpz", "b/a.rpz.backup"]


@pytest.mark.parametrize("call", ["write_at journal", "sync journal"])
def test_a_record_that_could_not_be_written_is_written_again(shop: Workshop, call: str) -> None:
    """The file is visible and stays so; the record, and with it the need, goes to a new journal."""
    shop.put("a.rpz", OLD)
    plan = shop.store("a.rpz", [NEW])
    shop.disk.refuse(call, errno.ENOSPC)
    assert shop.perform(plan) == Failed(detail="No space left on device", visible=True)
    live = (shop.path / "a.rpz").stat()
    del shop.disk.calls[:]
    assert isinstance(shop.perform(plan), Committed)
    assert "rename a.rpz.tmp a.rpz" not in shop.disk.calls
    assert (shop.path / "a.rpz").stat().st_ino == live.st_ino
    assert [file.sequence for file in shop.journal.ledger.needs] == [2]
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup"]


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
