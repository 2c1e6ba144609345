"""Whatever call fails, and whenever the process ends: old or new, never neither."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from filesync import Ending
from filesync._plan import Committed, Failed, NotCommitted, Plan, PlanResult
from support.disk import CALLS, IS_ROOT, STRANGER, Disk, Killed, Workshop, descriptors, names_in
from support.replacing import NEW, OLD, OLDER, ORDER, PIECES, commits

#: files-dir, our own directory, the lock and the journal.
HELD = 4

#: Errors of the disk as a whole, which pass.
PASSING = [errno.EIO, errno.ENOSPC]

#: Errors of the place, which do not pass by themselves.
LASTING = [errno.EACCES, errno.EPERM, errno.EISDIR]


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
