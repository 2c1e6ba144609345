"""Owner, group, mode and time of what is put in place."""

from __future__ import annotations

import errno
import grp
import os
import pwd
from typing import Any

import pytest

from filesync._plan import Committed, Failed
from support.disk import IS_ROOT, STRANGER, Workshop, names_in
from support.replacing import NEW, OLD

needs_root = pytest.mark.skipif(
    not IS_ROOT, reason="this environment does not promise root: only it may give files away"
)


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
