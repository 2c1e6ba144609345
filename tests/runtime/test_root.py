"""files-dir: one owner at a time, and no way out of it."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from filesync.exceptions import FilesDirError, FilesInUseError
from filesync.runtime._posix import Posix
from filesync.runtime._root import Root
from support.disk import CALLS, STRANGER, Disk, descriptors, names_in

#: Takes files-dir, says so, and waits for the end of its input.
HOLDER = """
import sys
from filesync.runtime._posix import Posix
from filesync.runtime._root import Root
root = Root(sys.argv[1], Posix())
print("mine", flush=True)
sys.stdin.read()
"""


@pytest.fixture(name="files")
def _files(tmp_path: Path) -> Path:
    path = tmp_path / "files"
    path.mkdir()
    return path


@pytest.fixture(name="root")
def _root(files: Path) -> Iterator[Root]:
    with contextlib.closing(Root(str(files), Disk())) as root:
        yield root


@pytest.fixture(name="holder")
def _holder(files: Path) -> Iterator[subprocess.Popen[str]]:
    """Run another process that has files-dir."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(files)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


# Taking files-dir


def test_another_process_keeps_us_out(files: Path, holder: subprocess.Popen[str]) -> None:
    """A second instance is told which directory is in use, and leaves nothing open."""
    with pytest.raises(FilesInUseError, match=f"{files} is in use by another filesync"):
        Root(str(files), Posix())
    assert descriptors(files) == {}


def test_a_process_that_was_killed_holds_nothing(
    files: Path, holder: subprocess.Popen[str]
) -> None:
    """The lock dies with its process, although its file stays."""
    holder.kill()
    holder.wait()
    assert (files / ".filesync" / "lock").exists()
    Root(str(files), Posix()).close()


def test_the_same_process_cannot_take_it_twice(files: Path, root: Root) -> None:
    """Two receivers in one program do not share a files-dir; one after the other may have it."""
    with pytest.raises(FilesInUseError):
        Root(str(files), Posix())
    assert len(descriptors(files)) == 3
    root.close()
    with contextlib.closing(Root(str(files), Posix())):
        assert len(descriptors(files)) == 3


def test_a_program_that_is_started_meanwhile_holds_nothing(files: Path) -> None:
    """A child process does not inherit the lock, whatever it keeps open."""
    root = Root(str(files), Posix())
    with subprocess.Popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"here\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"here\n"
        root.close()
        Root(str(files), Posix()).close()


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (lambda path: None, "No such file or directory; create it, or correct kafka.files-dir"),
        (Path.touch, "Not a directory; kafka.files-dir must name a directory"),
        (lambda path: path.symlink_to("loop"), "it must be a directory that filesync can write"),
    ],
    ids=["missing", "file", "loop"],
)
def test_an_unusable_directory_is_told_with_advice(
    tmp_path: Path, make: Callable[[Path], object], advice: str
) -> None:
    """The message names the directory, what is wrong, and what to do."""
    path = tmp_path / "loop"
    make(path)
    with pytest.raises(FilesDirError, match=f"files-dir {path} cannot be used: ") as caught:
        Root(str(path), Posix())
    assert advice in str(caught.value)


def test_a_directory_that_may_not_be_written_is_told(files: Path) -> None:
    """Missing rights are told as such."""
    disk = Disk()
    disk.refuse("make_directory", errno.EACCES)
    with pytest.raises(FilesDirError, match="give the user that filesync runs as the right"):
        Root(str(files), disk)
    assert descriptors(files) == {}


@pytest.mark.parametrize("error", [errno.EIO, errno.EROFS, errno.ENOSPC, errno.EMFILE])
def test_whatever_fails_while_it_is_taken_leaves_nothing_open(files: Path, error: int) -> None:
    """Each call may fail: the answer is always one error, and it can be taken afterwards."""
    disk = Disk()
    Root(str(files), disk).close()
    calls = [call.split()[0] for call in disk.calls]
    for number, call in enumerate(calls):
        if call != "close":
            disk = Disk()
            disk.refuse(call, error, skip=calls[:number].count(call))
            with pytest.raises(FilesDirError, match=os.strerror(error)):
                Root(str(files), disk)
            assert disk.refused == 1
            assert descriptors(files) == {}
    Root(str(files), Posix()).close()


def test_our_own_directory_is_private_and_durable(files: Path) -> None:
    """The journal's directory is for us alone, and its name survives a power cut."""
    disk = Disk()
    with contextlib.closing(Root(str(files), disk)):
        assert (files / ".filesync").stat().st_mode & 0o777 == 0o700
        assert "sync ." in disk.calls[disk.calls.index("make_directory .filesync") :]


def test_files_dir_itself_may_be_a_link(tmp_path: Path, files: Path) -> None:
    """What the operator wrote is followed, once."""
    (tmp_path / "link").symlink_to(files)
    with contextlib.closing(Root(f"{tmp_path}/link/", Posix())) as root:
        assert root.absolute("a.rpz") == f"{tmp_path}/link/a.rpz"
        assert (files / ".filesync").is_dir()


def test_our_own_directory_may_not_be_a_link(tmp_path: Path, files: Path) -> None:
    """Who can write to files-dir cannot send our journal elsewhere."""
    (tmp_path / "outside").mkdir()
    (files / ".filesync").symlink_to(tmp_path / "outside")
    with pytest.raises(FilesDirError):
        Root(str(files), Posix())
    assert names_in(tmp_path / "outside") == []


# Walking in it


def test_a_name_without_directories_is_in_files_dir(files: Path, root: Root) -> None:
    """The parent of a plain name is files-dir itself."""
    with root.parent("a.rpz") as (parent, last):
        assert last == "a.rpz"
        assert os.path.samestat(os.fstat(parent), files.stat())


def test_missing_directories_are_not_created_unasked(files: Path, root: Root) -> None:
    """Looking at a name changes nothing."""
    with pytest.raises(FileNotFoundError), root.parent("a/b/c.rpz"):
        pass
    assert names_in(files) == []


def test_created_directories_look_like_files_dir(files: Path, root: Root) -> None:
    """They get its mode and owner, and become durable one within the other."""
    os.chown(files, *STRANGER)
    files.chmod(0o751)
    root.close()
    disk = Disk()
    old_mask = os.umask(0o077)
    try:
        with (
            contextlib.closing(Root(str(files), disk)) as new,
            new.parent("a/b/c.rpz", create=True) as (parent, last),
        ):
            assert last == "c.rpz"
            assert os.path.samestat(os.fstat(parent), (files / "a" / "b").stat())
    finally:
        os.umask(old_mask)
    for path in (files / "a", files / "a" / "b"):
        info = path.stat()
        assert (info.st_uid, info.st_gid, info.st_mode & 0o7777) == (*STRANGER, 0o751)
    made = [call for call in disk.calls if call.startswith(("make_directory", "sync"))]
    assert made[-4:] == ["make_directory a", "sync .", "make_directory b", "sync a"]


def test_a_directory_may_stay_ours_where_it_cannot_be_given_away(files: Path) -> None:
    """Only root may give files away; without that right the mode is what helps."""
    disk = Disk()
    disk.refuse_always("chown", errno.EPERM)
    files.chmod(0o755)
    with contextlib.closing(Root(str(files), disk)) as root, root.parent("a/b", create=True):
        assert (files / "a").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("name", ["link/x", "link/sub/x", "dir/link/x", "file/x", "pipe/x"])
def test_no_part_of_a_name_is_followed_out(
    tmp_path: Path, files: Path, root: Root, name: str, *, create: bool
) -> None:
    """A part that is a link, a file or a pipe ends the walk; nothing outside is touched."""
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    (files / "dir").mkdir()
    (files / "link").symlink_to(outside)
    (files / "dir" / "link").symlink_to("../../outside")
    (files / "file").touch()
    os.mkfifo(files / "pipe")
    before = names_in(tmp_path)
    held = descriptors(tmp_path)
    with pytest.raises(OSError, match="Not a directory"), root.parent(name, create=create):
        pass
    assert names_in(tmp_path) == before
    assert descriptors(tmp_path) == held


def test_a_link_that_is_swapped_in_leads_nowhere(tmp_path: Path, files: Path, root: Root) -> None:
    """Whatever a directory is renamed to meanwhile, what is created is in files-dir or nowhere."""
    outside, spare = tmp_path / "outside", tmp_path / "spare"
    outside.mkdir()
    (files / "d").mkdir()
    spare.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (files / "d").rename(tmp_path / "directory")
            spare.rename(files / "d")
            (files / "d").rename(spare)
            (tmp_path / "directory").rename(files / "d")

    swapper = threading.Thread(target=swap)
    swapper.start()
    created = refused = 0
    try:
        while created < 50 or refused < 5:
            try:
                with root.parent("d/x") as (parent, last):
                    root.posix.close(root.posix.create(last, parent))
                    root.posix.unlink(last, parent)
                created += 1
            except FileNotFoundError:
                continue
            except NotADirectoryError:
                refused += 1
            assert os.listdir(outside) == []
    finally:
        stop.set()
        swapper.join()


@pytest.mark.parametrize("call", sorted({*CALLS} - {"open_root", "lock", "list"}))
def test_a_walk_that_fails_leaves_nothing_open_and_can_be_repeated(files: Path, call: str) -> None:
    """Each call of a walk may fail; afterwards it gives what it would have given at once."""
    disk = Disk()
    files.chmod(0o751)
    with contextlib.closing(Root(str(files), disk)) as root:
        held = descriptors(files)
        for number in range(10):
            name, refused = f"{number}a/b/c", disk.refused
            disk.refuse(call, skip=number)
            with contextlib.suppress(OSError), root.parent(name, create=True):
                pass
            assert descriptors(files) == held
            disk.allow()
            with root.parent(name, create=True) as (parent, _):
                assert os.path.samestat(os.fstat(parent), (files / name).parent.stat())
            for path in (files / f"{number}a", files / f"{number}a" / "b"):
                assert path.stat().st_mode & 0o7777 == 0o751
            if disk.refused == refused:
                break
