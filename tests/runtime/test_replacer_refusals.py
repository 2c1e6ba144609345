"""What is not put in place: for what stands there, for what it is, or for what a check says."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from filesync import Ending
from filesync._model import Claims
from filesync._plan import Committed, Failed, Missing, NotCommitted
from filesync.daemon import CheckFailed, CheckPassed, CheckUnavailable
from support.disk import Workshop, names_in
from support.replacing import NEW, OLD, ORDER, PIECES, commits, ending

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


def test_a_file_that_names_missing_ones_is_kept_for_a_later_try(shop: Workshop) -> None:
    """The plan succeeds once they are there, without a chunk being sent again."""
    shop.put("c.yaml", OLD)
    shop.daemon.answer = CheckFailed("checker exited with status 75", missing=("b.rpz", "d.rpz"))
    plan = shop.store("c.yaml", PIECES, order=ORDER)
    lacking = Missing(detail="b.rpz, d.rpz (checker exited with status 75)")
    assert shop.perform(plan) == lacking
    assert shop.perform(plan) == lacking
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
