"""Chunks on disk: every byte where it belongs, and nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import queue
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filesync._effects import AppendChunk
from filesync._model import TransferKey
from filesync._plan import Committed, Segment
from filesync.exceptions import FilesDirError
from filesync.runtime._spool import Spool, segment_name
from support.disk import CALLS, Workshop, descriptors, names_in

KEY, OTHER = TransferKey(0, 7), TransferKey(0, 8)


def chunk(
    data: bytes, position: int = 0, *, segment: int = 0, name: str = "a.rpz", key: TransferKey = KEY
) -> AppendChunk:
    """Return the effect that stores *data*."""
    return AppendChunk(key, name, segment, position, data)


def stored(shop: Workshop, segment: int = 0, *, name: str = "a.rpz") -> bytes:
    """Return what is on disk of a segment of the transfer `KEY`."""
    return (shop.path / f"{name}.chunks" / str(KEY) / segment_name(segment)).read_bytes()


# Storing


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[list[bytes], list[int]]:
    """Draw the chunks of a file, and the order in which they arrive."""
    pieces = draw(st.lists(st.binary(max_size=40), min_size=1, max_size=12))
    return pieces, draw(st.permutations(range(len(pieces))))


@given(arrivals())
def test_chunks_in_any_order_become_the_file(arrival: tuple[list[bytes], list[int]]) -> None:
    """Whatever segments they make, they are joined to exactly the bytes that were sent."""
    pieces, order = arrival
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Workshop(Path(folder))) as shop,
    ):
        result = shop.put("b/a.rpz", *pieces, order=order)
        assert isinstance(result, Committed)
        data = b"".join(pieces)
        assert (shop.path / "b" / "a.rpz").read_bytes() == data
        assert result.file.digest == hashlib.sha256(data).digest()
        assert result.file.size == len(data)
        assert names_in(shop.path) == ["b", "b/a.rpz"]


@given(arrivals(), st.data())
def test_a_disk_that_fails_now_and_then_loses_no_byte(
    arrival: tuple[list[bytes], list[int]], data: st.DataObject
) -> None:
    """Chunks that were refused, some of them half written, are stored by the same call again."""
    pieces, order = arrival
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Workshop(Path(folder))) as shop,
    ):
        todo, whole = shop.arrive("a.rpz", pieces, order=order)
        while todo:
            shop.disk.allow()
            for call in data.draw(st.lists(st.sampled_from(["write_at", "open_write", "fstat"]))):
                shop.disk.refuse(call, errno.ENOSPC, skip=data.draw(st.integers(0, 3)))
            todo = [effect for effect in todo if not append(shop, effect)]
        shop.disk.allow()
        assert isinstance(shop.perform(shop.plan(whole)), Committed)
        assert (shop.path / "a.rpz").read_bytes() == b"".join(pieces)


def append(shop: Workshop, effect: AppendChunk) -> bool:
    """Try to store a chunk; return whether it is stored."""
    try:
        shop.spool.append(effect)
    except OSError:
        return False
    return True


def test_a_segment_is_named_after_its_first_chunk(shop: Workshop) -> None:
    """On disk chunks are counted from 1, as on the wire."""
    shop.spool.append(chunk(b"one", name="b/a.rpz"))
    shop.spool.append(chunk(b"two", 3, name="b/a.rpz"))
    shop.spool.append(chunk(b"nine", segment=8, name="b/a.rpz"))
    assert stored(shop, name="b/a.rpz") == b"onetwo"
    assert names_in(shop.path) == [
        "b",
        "b/a.rpz.chunks",
        "b/a.rpz.chunks/0-7-0",
        "b/a.rpz.chunks/0-7-0/1",
        "b/a.rpz.chunks/0-7-0/9",
    ]


def test_chunks_are_for_our_eyes_only(shop: Workshop) -> None:
    """What is not checked and not whole yet can be read by nobody else."""
    shop.spool.append(chunk(b"one"))
    for path in (shop.path / "a.rpz.chunks", shop.path / "a.rpz.chunks" / str(KEY)):
        assert path.stat().st_mode & 0o777 == 0o700
    assert (shop.path / "a.rpz.chunks" / str(KEY) / "1").stat().st_mode & 0o777 == 0o600


def test_half_a_chunk_does_not_count(shop: Workshop) -> None:
    """What was written of a chunk before the disk was full is written over."""
    shop.spool.append(chunk(b"first "))
    shop.disk.refuse("write_at", errno.ENOSPC)
    with pytest.raises(OSError, match="No space left"):
        shop.spool.append(chunk(b"second ", 6))
    assert stored(shop) == b"first sec"
    with pytest.raises(OSError, match="an earlier chunk of the segment is not stored yet"):
        shop.spool.append(chunk(b"third", 13))
    shop.spool.append(chunk(b"second ", 6))
    shop.spool.append(chunk(b"third", 13))
    assert stored(shop) == b"first second third"
    assert shop.spool.seal(KEY, (Segment(0, 18),)).sha256.digest() == (
        hashlib.sha256(b"first second third").digest()
    )


def test_a_longer_past_is_cut_off(shop: Workshop) -> None:
    """What an earlier process stored under the same name is not taken for ours."""
    shop.spool.append(chunk(b"the bytes of another log"))
    shop.close()
    shop.open()
    shop.spool.append(chunk(b"ours"))
    assert stored(shop) == b"ours"


def test_chunks_leave_room_for_others(shop: Workshop) -> None:
    """Where less would stay free than the settings want, nothing is stored until more is."""
    floor = 1 << 62
    spool = Spool(shop.root, floor)
    with pytest.raises(OSError, match=r"less is free than limits\.free-space-bytes") as caught:
        spool.append(chunk(b"x"))
    assert caught.value.errno == errno.ENOSPC
    assert names_in(shop.path) == []
    spool = Spool(shop.root, 1)
    spool.append(chunk(b"x"))
    assert stored(shop) == b"x"
    spool.close()


def test_many_transfers_need_few_descriptors(shop: Workshop) -> None:
    """Beyond 64 open segments the one used longest ago is closed, and opened again when needed."""
    for position in range(2):
        for number in range(100):
            shop.spool.append(chunk(b"%d" % (number % 10), position, segment=number))
        assert len(descriptors(shop.path)) <= 64 + 4
    for number in range(100):
        assert stored(shop, number) == b"%d" % (number % 10) * 2


@pytest.mark.parametrize("ends", ["seal", "forget", "close"])
def test_nothing_stays_open_of_a_transfer_that_ended(shop: Workshop, ends: str) -> None:
    """Whole, dropped or at the end of all: its descriptors are closed."""
    held = descriptors(shop.path)
    for segment in range(3):
        shop.spool.append(chunk(b"x", segment=segment))
    if ends == "seal":
        shop.spool.seal(KEY, tuple(Segment(first, 1) for first in range(3)))
    elif ends == "forget":
        shop.spool.append(chunk(b"y", key=OTHER))
        shop.spool.forget(KEY)
        assert len(descriptors(shop.path)) == len(held) + 1
        shop.spool.forget(OTHER)
    else:
        shop.spool.close()
    assert descriptors(shop.path) == held


def test_what_was_hashed_is_the_beginning_in_order(shop: Workshop) -> None:
    """The running digest covers the first segment as far as it came in order, and nothing else."""
    shop.spool.append(chunk(b"later", segment=5))
    shop.spool.append(chunk(b"one"))
    shop.spool.append(chunk(b"two", 3))
    digest = shop.spool.seal(KEY, (Segment(0, 6), Segment(5, 5)))
    assert digest.size == 6
    assert digest.sha256.digest() == hashlib.sha256(b"onetwo").digest()
    assert shop.spool.seal(OTHER, ()).size == 0


# Linux closes a directory without fail.
@pytest.mark.parametrize("call", sorted({*CALLS} - {"lock", "open_root", "close"}))
def test_storing_may_fail_anywhere_and_be_repeated(shop: Workshop, call: str) -> None:
    """Each call may fail: nothing stays open, and the same chunk can be stored afterwards."""
    shop.spool.append(chunk(b"another transfer's", key=OTHER, name="0/a.rpz"))
    held = len(descriptors(shop.path))
    for number in range(20):
        key, name, refused = TransferKey(1, number), f"{number}/a.rpz", shop.disk.refused
        shop.disk.refuse(call, skip=number)
        with contextlib.suppress(OSError):
            shop.spool.append(chunk(b"one", name=name, key=key))
        shop.disk.allow()
        shop.spool.append(chunk(b"one", name=name, key=key))
        shop.spool.append(chunk(b"two", 3, name=name, key=key))
        assert (shop.path / f"{name}.chunks" / str(key) / "1").read_bytes() == b"onetwo"
        shop.spool.forget(key)
        assert len(descriptors(shop.path)) == held
        if shop.disk.refused == refused:
            break


@pytest.mark.parametrize("name", ["link/a.rpz", "file/a.rpz", "linked", "taken"])
def test_chunks_go_through_no_link(tmp_path: Path, shop: Workshop, name: str) -> None:
    """A link or a file in the way is an error, and nothing is written elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (shop.path / "link").symlink_to(outside)
    (shop.path / "linked.chunks").symlink_to(outside)
    (shop.path / "file").touch()
    (shop.path / "taken.chunks").touch()
    before, held = names_in(tmp_path), descriptors(tmp_path)
    with pytest.raises(OSError, match="Not a directory"):
        shop.spool.append(chunk(b"x", name=name))
    assert names_in(tmp_path) == before
    assert descriptors(tmp_path) == held


# Removing


def test_a_transfer_vanishes_with_its_directories(shop: Workshop) -> None:
    """Of two transfers of a file one may end: the other's chunks stay until it does."""
    shop.spool.append(chunk(b"x"))
    shop.spool.append(chunk(b"y", key=OTHER))
    shop.spool.remove(KEY, "a.rpz")
    assert names_in(shop.path) == ["a.rpz.chunks", "a.rpz.chunks/0-8-0", "a.rpz.chunks/0-8-0/1"]
    shop.spool.remove(OTHER, "a.rpz")
    assert names_in(shop.path) == []


@pytest.mark.parametrize("name", ["a.rpz", "b/a.rpz"])
def test_what_is_gone_can_be_removed(shop: Workshop, name: str) -> None:
    """Removing twice, or what never was, is fine."""
    shop.spool.remove(KEY, name)
    shop.spool.append(chunk(b"x", name=name))
    shop.spool.remove(KEY, name)
    shop.spool.remove(KEY, name)


def test_one_may_end_while_another_begins(shop: Workshop) -> None:
    """A directory that a lane removes while it is opened is made again."""
    ended: queue.SimpleQueue[TransferKey | None] = queue.SimpleQueue()

    def remove() -> None:
        while (key := ended.get()) is not None:
            shop.spool.remove(key, "a.rpz")

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for number in range(300):
            key = TransferKey(0, number)
            shop.spool.append(chunk(b"x", key=key))
            assert shop.spool.seal(key, (Segment(0, 1),)).size == 1
            ended.put(key)
    finally:
        ended.put(None)
        remover.join()
    assert names_in(shop.path) == []


@pytest.mark.parametrize("call", ["open_directory", "list", "unlink", "remove_directory"])
def test_what_could_not_be_removed_is_swept(shop: Workshop, call: str) -> None:
    """Each call of a removal may fail: nothing stays open, and the next start removes the rest."""
    held = descriptors(shop.path)
    for number in range(10):
        refused = shop.disk.refused
        shop.spool.append(chunk(b"x", name="b/a.rpz"))
        shop.spool.forget(KEY)
        shop.disk.refuse(call, skip=number)
        with contextlib.suppress(OSError):
            shop.spool.remove(KEY, "b/a.rpz")
        assert descriptors(shop.path) == held
        shop.disk.allow()
        shop.spool.sweep()
        assert names_in(shop.path) == ["b"]
        if shop.disk.refused == refused:
            break


# Sweeping


def plant(folder: Path, names: Sequence[str]) -> None:
    """Create files, and directories where a name ends in a slash."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(b"somebody's")


def test_what_a_crash_left_is_swept(shop: Workshop) -> None:
    """Chunks, staged files and half a backup go; visible files, backups and the journal stay."""
    plant(
        shop.path,
        [
            "a.rpz",
            "a.rpz.backup",
            "a.rpz.tmp",
            "a.rpz.backup.tmp",
            "a.rpz.chunks/0-7-0/1",
            "a.rpz.chunks/0-7-0/22",
            "a.rpz.chunks/3-12345678-9/",
            "b/c/d.yaml.tmp",
            "b/c/d.yaml.chunks/0-0-0/1",
            "e.chunks/",
        ],
    )
    shop.spool.sweep()
    assert names_in(shop.path) == ["a.rpz", "a.rpz.backup", "b", "b/c"]
    assert (shop.path / ".filesync" / "journal").exists()


def test_what_is_not_ours_is_never_swept(tmp_path: Path, shop: Workshop) -> None:
    """Whatever only looks like ours stays as it is, and links are not followed."""
    outside = tmp_path / "outside"
    plant(outside, ["x.chunks/0-1-0/1", "x.tmp"])
    plant(
        shop.path,
        [
            "x.tmp",
            "x.backup.tmp",
            "z.rpz",
            "z.rpz.tmp",
            "y.chunks/notes",
            "y.chunks/0-1/1",
            "y.chunks/0-1-x/1",
            "y.chunks/0-7-0/1",
            "y.tmp",
            "w.chunks/1-2-3/1",
            "w.chunks/1-2-3/notes",
            "w.chunks/1-2-3/1.old",
            "1-2-3/1",
            "v.chunks",
            "u.chunks/1-2-3",
            "u.tmp",
            "t.chunks/0-7-0/1",
            "t.tmp",
            "w.tmp",
            "y.chunks/deep/s.chunks/0-7-0/1",
        ],
    )
    (shop.path / "link").symlink_to(outside)
    (shop.path / "link.chunks").symlink_to(outside / "x.chunks")
    (shop.path / "t.chunks" / "0-1-0").symlink_to(outside / "x.chunks" / "0-1-0")
    before = names_in(tmp_path)
    held = descriptors(tmp_path)
    shop.spool.sweep()
    assert names_in(tmp_path) == before
    assert descriptors(tmp_path) == held


@pytest.mark.parametrize("call", ["list", "unlink", "remove_directory"])
def test_a_sweep_that_fails_is_told_with_the_directory(shop: Workshop, call: str) -> None:
    """What keeps us from starting is the operator's to mend, so it is told like all of that."""
    plant(shop.path, ["b/a.rpz.chunks/0-7-0/1"])
    held = descriptors(shop.path)
    shop.disk.refuse(call, errno.EACCES)
    with pytest.raises(FilesDirError, match=f"files-dir {shop.path} .* Permission denied"):
        shop.spool.sweep()
    assert descriptors(shop.path) == held
    shop.spool.sweep()
    assert names_in(shop.path) == ["b"]
