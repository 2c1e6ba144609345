"""The journal on a real disk: what it acknowledged is there, whatever happened since."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given

from filesync._ledger import (
    Entry,
    FileCommitted,
    Ledger,
    LogSeen,
    PositionsSaved,
    Served,
    decode,
    encode,
    replay,
    snapshot,
)
from filesync._model import Claims, CommittedFile, Kind, Origin, Target, TransferKey
from filesync._plan import Plan
from filesync.exceptions import JournalError
from filesync.runtime._journal import Journal
from filesync.runtime._root import Root
from strategies import histories
from support.disk import P0, Disk, descriptors

DIGEST = bytes(range(32))

LOG = LogSeen(topic="files", topic_id="id-1", cluster_id="c", epoch=1)


class Desk:
    """A journal, where it lies, and the disk beneath."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / ".filesync" / "journal"
        self.disk = Disk(hasty=True)
        self.root = Root(str(folder), self.disk)
        self.open()

    def open(self) -> None:
        """Read the journal as a new process would."""
        self.journal = Journal(self.root)

    def reopen(self) -> Ledger:
        """Close the journal; return what a new process reads from the disk."""
        self.journal.close()
        self.open()
        return self.journal.ledger

    def close(self) -> None:
        """Close everything."""
        self.journal.close()
        self.root.close()

    @property
    def inode(self) -> int:
        """Of the file that a new process would read."""
        return self.path.stat().st_ino


@pytest.fixture(name="desk")
def _desk(tmp_path: Path) -> Iterator[Desk]:
    with contextlib.closing(Desk(tmp_path)) as desk:
        yield desk


def plan(name: str = "a.rpz", offset: int = 0, *, epoch: int = 0) -> Plan:
    """Return a plan as far as the journal looks at it."""
    return Plan(
        id=1,
        target=Target(name=name, kind=Kind.DATA),
        transfer=TransferKey(0, offset),
        segments=(),
        claims=Claims(),
        origin=Origin(source=P0, offset=offset),
        known=None,
        positions={P0: offset + 1},
        epoch=epoch,
    )


def replayed(*entries: Entry) -> Ledger:
    """Return the ledger that *entries* make."""
    return functools.reduce(replay, entries, Ledger())


ENTRIES: tuple[Entry, ...] = (
    LOG,
    FileCommitted(
        file=CommittedFile(
            name="a.rpz",
            kind=Kind.DATA,
            digest=DIGEST,
            size=3,
            sequence=1,
            origin=Origin(source=P0, offset=4, timestamp=1.5, generation=7),
        ),
        positions={P0: 5},
        epoch=1,
    ),
    Served(sequence=1),
    PositionsSaved(positions={P0: 9}, epoch=1),
)


# What is acknowledged is durable


def test_a_new_journal_is_empty_and_durable(desk: Desk) -> None:
    """A first start knows nothing, and its file's name survives a power cut."""
    assert desk.journal.ledger == Ledger()
    assert desk.disk.calls[-1] == "sync .filesync"
    assert desk.path.stat().st_mode & 0o777 == 0o600


@given(histories())
def test_every_history_is_read_back(history: list[Entry]) -> None:
    """After a restart the ledger is what it was, and so it is after a compaction."""
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.closing(Desk(Path(folder))) as desk,
    ):
        for entry in history:
            desk.journal.append((entry,))
        assert desk.journal.ledger == replayed(*history)
        assert desk.reopen() == replayed(*history)
        desk.disk.refuse("sync journal")
        with pytest.raises(OSError, match="Input/output error"):
            desk.journal.append((Served(sequence=0),))
        desk.journal.append(())
        assert desk.path.read_bytes() == b"".join(map(encode, snapshot(desk.journal.ledger)))
        assert desk.journal.ledger == replayed(*history)
        assert desk.reopen() == replayed(*snapshot(replayed(*history)))


def test_an_entry_is_written_and_synced_before_it_counts(desk: Desk) -> None:
    """One write and one fsync for all entries of a call, and only then the ledger has them."""
    seen = []
    desk.disk.after = lambda call: seen.append((call, desk.journal.ledger.sequence))
    desk.journal.append(ENTRIES)
    assert seen == [("write_at journal", 0), ("sync journal", 0)]
    assert desk.journal.ledger.sequence == 1


def test_a_commit_is_one_entry_with_its_positions(desk: Desk) -> None:
    """The file and the position after it become durable together, or not at all."""
    desk.journal.append((LOG,))
    size = desk.path.stat().st_size
    file = desk.journal.commit(plan(offset=4, epoch=1), DIGEST, 3)
    assert desk.path.read_bytes()[size:].count(b"\n") == 1
    assert (file.name, file.digest, file.size, file.sequence) == ("a.rpz", DIGEST, 3, 1)
    ledger = desk.reopen()
    assert ledger.files == {"a.rpz": file}
    assert ledger.positions == {P0: 5}
    assert ledger.needs == (file,)


def test_a_commit_of_another_epoch_has_no_place_in_the_log(desk: Desk) -> None:
    """A file whose log began anew meanwhile is recorded, its offsets are not."""
    desk.journal.append((LOG,))
    file = desk.journal.commit(plan(offset=4, epoch=0), DIGEST, 3)
    assert file.origin is None
    assert desk.reopen().files == {"a.rpz": file}
    assert desk.journal.ledger.positions == {}


def test_commits_of_two_lanes_get_distinct_growing_numbers(desk: Desk) -> None:
    """Whoever comes first in the file has the smaller number, and none is given twice."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        given_out: list[int] = []

        def commit(lane: int) -> None:
            for number in range(25):
                file = desk.journal.commit(plan(f"{lane}/{number}"), DIGEST, 3)
                given_out.append(file.sequence)

        lanes = [threading.Thread(target=commit, args=(lane,)) for lane in range(4)]
        for thread in lanes:
            thread.start()
        for thread in lanes:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert sorted(given_out) == list(range(1, 101))
    entries, _ = decode(desk.path.read_bytes())
    written = [entry.file.sequence for entry in entries if isinstance(entry, FileCommitted)]
    assert written == list(range(1, 101))
    assert len(desk.reopen().files) == 100


# What is torn or broken


def test_a_tail_that_is_torn_at_any_byte_costs_only_itself(desk: Desk) -> None:
    """Wherever the power went, the whole lines count, and what is appended then is read back."""
    desk.journal.append(ENTRIES)
    whole = desk.path.read_bytes()
    later = PositionsSaved(positions={P0: 77}, epoch=1)
    for cut in range(len(whole)):
        desk.path.write_bytes(whole[:cut])
        survived = ENTRIES[: whole.count(b"\n", 0, cut)]
        assert desk.reopen() == replayed(*survived)
        desk.journal.append((later,))
        assert desk.reopen() == replayed(*survived, later)


def test_a_flipped_bit_anywhere_ends_what_is_believed(desk: Desk) -> None:
    """A byte that changed is noticed: its line and what follows are read again from the log."""
    desk.journal.append(ENTRIES)
    whole = desk.path.read_bytes()
    for index, byte in enumerate(whole):
        flipped = byte ^ (0x01, 0x20, 0x80)[index % 3]
        desk.path.write_bytes(whole[:index] + bytes([flipped]) + whole[index + 1 :])
        survived = ENTRIES[: whole.count(b"\n", 0, index)]
        assert desk.reopen() == replayed(*survived)
        desk.journal.append(ENTRIES[len(survived) :])
        assert desk.reopen() == replayed(*ENTRIES)


def test_what_a_newer_filesync_wrote_is_left_alone(desk: Desk) -> None:
    """A downgrade ends at start, with a way out, and changes nothing."""
    newer = b'{"v":2,"what":"ever"}'
    text = encode(LOG) + b"%08x %s\n" % (zlib.crc32(newer), newer)
    desk.path.write_bytes(text)
    held = descriptors(desk.folder)
    with pytest.raises(JournalError, match=r"run the filesync that wrote it, or remove"):
        Journal(desk.root)
    assert desk.path.read_bytes() == text
    assert descriptors(desk.folder) == held


@pytest.mark.parametrize("call", ["open_write", "read_at", "truncate", "sync"])
def test_a_journal_that_cannot_be_read_is_told_with_its_path(desk: Desk, call: str) -> None:
    """Each call of an opening may fail: nothing stays open, and it can be opened afterwards."""
    desk.journal.append(ENTRIES)
    with desk.path.open("ab") as file:
        file.write(b"torn")
    held = descriptors(desk.folder)
    desk.disk.refuse(call, errno.EACCES)
    with pytest.raises(JournalError, match=f"{desk.path} cannot be used: Permission denied"):
        Journal(desk.root)
    assert descriptors(desk.folder) == held
    assert desk.reopen() == replayed(*ENTRIES)


def test_a_link_in_its_place_is_not_followed(tmp_path: Path, desk: Desk) -> None:
    """Who puts a link in the journal's place sends it nowhere."""
    stranger = tmp_path / "stranger"
    stranger.write_bytes(b"not a journal")
    desk.path.unlink()
    desk.path.symlink_to(stranger)
    with pytest.raises(JournalError):
        Journal(desk.root)
    assert stranger.read_bytes() == b"not a journal"


# What fails


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", ["write_at journal", "sync journal"])
def test_after_a_failure_a_new_file_is_written(desk: Desk, call: str, error: int) -> None:
    """What failed does not count, and the file that it was written to is never synced again."""
    desk.journal.append(ENTRIES)
    suspect = desk.inode
    late = PositionsSaved(positions={P0: 20}, epoch=1)
    desk.disk.refuse(call, error)
    with pytest.raises(OSError, match=os.strerror(error)):
        desk.journal.append((late,))
    assert desk.journal.ledger == replayed(*ENTRIES)
    del desk.disk.synced[:]
    desk.journal.append((late,))
    assert desk.inode != suspect
    assert suspect not in desk.disk.synced
    assert desk.reopen() == replayed(*ENTRIES, late)
    assert sorted(os.listdir(desk.path.parent)) == ["journal", "lock"]


def test_a_commit_that_failed_gives_its_number_away(desk: Desk) -> None:
    """The sequence of a commit that is not durable is given to the next, in the file too."""
    desk.disk.refuse("sync journal")
    with pytest.raises(OSError, match="Input/output error"):
        desk.journal.commit(plan("a.rpz"), DIGEST, 3)
    assert desk.journal.commit(plan("b.rpz"), DIGEST, 3).sequence == 1
    assert desk.journal.commit(plan("a.rpz"), DIGEST, 3).sequence == 2
    assert [file.name for file in desk.reopen().needs] == ["b.rpz", "a.rpz"]


REWRITE = [
    "unlink journal.new",
    "create journal.new",
    "write_at journal.new",
    "sync journal.new",
    "rename journal.new journal",
    "sync .filesync",
    "close journal",
]


def test_a_new_file_takes_the_old_ones_place_whole(desk: Desk) -> None:
    """The new journal is durable before it has the name, and the name before it is used."""
    desk.disk.refuse("sync journal")
    with pytest.raises(OSError, match="Input/output error"):
        desk.journal.append(ENTRIES)
    del desk.disk.calls[:]
    desk.journal.append(ENTRIES)
    assert desk.disk.calls == [*REWRITE, "write_at journal.new", "sync journal.new"]


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", REWRITE)
def test_a_rewriting_may_fail_anywhere(desk: Desk, call: str, error: int) -> None:
    """Until the new journal is in place the old one holds; then the next append succeeds."""
    desk.journal.append(ENTRIES[:3])
    desk.disk.refuse("sync journal")
    desk.disk.refuse(call, error)
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(errno.EIO) + "|" + os.strerror(error)):
            desk.journal.append(ENTRIES[3:])
        entries, _ = decode(desk.path.read_bytes())
        # What was refused may be on disk or not; what was acknowledged is.
        assert replayed(*entries) in (replayed(*ENTRIES[:3]), replayed(*ENTRIES))
    assert desk.disk.refused == 2
    held = len(descriptors(desk.folder))
    desk.journal.append(ENTRIES[3:])
    assert len(descriptors(desk.folder)) == held
    assert desk.journal.ledger == desk.reopen() == replayed(*ENTRIES)


# What grows


def test_a_long_journal_is_made_short(desk: Desk) -> None:
    """It is rewritten once it is long and says little; the ledger stays what it was."""
    desk.journal.append(ENTRIES)
    longest = 0
    for offset in range(100, 1100):
        padding = tuple(PositionsSaved(positions={P0: offset}, epoch=1) for _ in range(10))
        desk.journal.append(padding)
        longest = max(longest, desk.path.stat().st_size)
    assert 256 * 1024 < longest < 300 * 1024
    assert desk.path.stat().st_size < longest
    expected = replayed(*ENTRIES, PositionsSaved(positions={P0: 1099}, epoch=1))
    assert desk.journal.ledger == desk.reopen() == expected


def test_a_journal_that_was_long_at_start_is_made_short(desk: Desk) -> None:
    """Many short runs do not let it grow for ever."""
    desk.journal.close()
    desk.path.write_bytes(encode(LOG) * 10_000)
    desk.open()
    desk.journal.append(ENTRIES)
    assert desk.path.stat().st_size < 2000
    assert desk.reopen() == replayed(*ENTRIES)


def test_what_needs_to_be_long_is_not_rewritten_each_time(desk: Desk) -> None:
    """A journal of many files is rewritten once it has doubled, not with every entry."""
    committed = ENTRIES[1]
    assert isinstance(committed, FileCommitted)
    for number in range(1500):
        desk.journal.commit(plan(f"{number}.rpz"), DIGEST, 3)
    first = desk.inode
    desk.reopen()
    del desk.disk.calls[:]
    for number in range(100):
        desk.journal.append((PositionsSaved(positions={P0: number}, epoch=0),))
    assert "create journal.new" not in desk.disk.calls
    assert desk.inode == first


# The end


def test_a_closed_journal_writes_into_nobodys_file(tmp_path: Path, desk: Desk) -> None:
    """A lane that comes too late gets an error, whoever has the descriptor's number by then."""
    desk.close()
    desk.close()
    with contextlib.ExitStack() as stack:
        strangers = [tmp_path / f"stranger{number}" for number in range(20)]
        for path in strangers:
            stack.enter_context(path.open("wb"))
        for _ in range(2):
            with pytest.raises(OSError, match="Bad file descriptor"):
                desk.journal.commit(plan(), DIGEST, 3)
    assert all(path.stat().st_size == 0 for path in strangers)
