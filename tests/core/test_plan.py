"""One decision: which ordered steps make a staged file the visible one, or why none do."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from filesync._model import (
    Claims,
    CommittedFile,
    Kind,
    Origin,
    Target,
    TopicPartition,
    TransferKey,
)
from filesync._outcomes import Ending
from filesync._plan import (
    Adopt,
    Backup,
    Check,
    Existing,
    Failed,
    NotCommitted,
    Plan,
    RecordCommit,
    Replace,
    Seen,
    Segment,
    SetMetadata,
    Shape,
    Sync,
    SyncDirectory,
    decide,
)

P0 = TopicPartition("files", 0)
NEW = hashlib.sha256(b"new").digest()
OLD = hashlib.sha256(b"old").digest()

#: The order of commit: each step may only come after all that stand before it.
ORDER = (SetMetadata, Sync, Check, Backup, Replace, Adopt, SyncDirectory, RecordCommit)

CONFIG = Target(name="c.yaml", kind=Kind.CONFIG)

#: What the journal says of the new version, and of the old one.
KNOWN_NEW = CommittedFile(name="a.rpz", kind=Kind.DATA, digest=NEW, size=3, sequence=1, origin=None)
KNOWN_OLD = evolve(KNOWN_NEW, digest=OLD)

RECORD = RecordCommit(digest=NEW, size=3)


def plan(**changes: Any) -> Plan:
    """Return the plan of a data file of three bytes in two segments."""
    settled: dict[str, Any] = {
        "id": 1,
        "target": Target(name="a.rpz", kind=Kind.DATA),
        "transfer": TransferKey(0, 7),
        "segments": (Segment(0, 2), Segment(5, 1)),
        "claims": Claims(),
        "origin": Origin(source=P0, offset=7),
        "known": None,
        "positions": {P0: 9},
        "epoch": 0,
    }
    return Plan(**{**settled, **changes})


def existing(digest: bytes | None = OLD, *, shape: Shape = Shape.FILE, mtime: int = 50) -> Existing:
    """Return what stands at the destination."""
    return Existing(shape=shape, digest=digest, mtime=mtime, uid=10, gid=20, mode=0o604)


def seen(stands: Existing | None = None, *, now: float = 100.5) -> Seen:
    """Return what was found with the new bytes staged and *stands* at the destination."""
    return Seen(digest=NEW, existing=stands, now=now)


#: Owner, mode and time of a file that replaces none, and of one that replaces `existing()`.
FRESH = SetMetadata(uid=None, gid=None, owner=None, group=None, mode=0o640, mtime=100.5)
KEPT = SetMetadata(uid=10, gid=20, owner=None, group=None, mode=0o604, mtime=100.5)


def test_the_size_of_a_plan_is_that_of_its_segments() -> None:
    """Joined, they are the file; an empty file has one empty segment."""
    assert plan().size == 3
    assert plan(segments=(Segment(0, 0),)).size == 0


@pytest.mark.parametrize(("target", "checked"), [(plan().target, False), (CONFIG, True)])
def test_only_a_configuration_is_checked(target: Target, *, checked: bool) -> None:
    """Data files are the daemon's own business."""
    assert plan(target=target).checked is checked
    steps = decide(plan(target=target), seen())
    assert isinstance(steps, tuple)
    assert (Check() in steps) is checked


@pytest.mark.parametrize("known", [None, KNOWN_OLD, KNOWN_NEW], ids=["unknown", "old", "new"])
def test_a_file_that_is_not_there_is_put_in_place(known: CommittedFile | None) -> None:
    """Nothing to keep: no backup; a file that somebody removed comes back whatever was known."""
    assert decide(plan(known=known), seen()) == (FRESH, Sync(), Replace(), SyncDirectory(), RECORD)
    assert decide(plan(known=known, target=CONFIG), seen()) == (
        FRESH,
        Sync(),
        Check(),
        Replace(),
        SyncDirectory(),
        RECORD,
    )


@pytest.mark.parametrize("digest", [OLD, None], ids=["of-this-size", "of-another-size"])
@pytest.mark.parametrize("known", [None, KNOWN_OLD, KNOWN_NEW], ids=["unknown", "old", "new"])
def test_a_file_is_kept_and_replaced(digest: bytes | None, known: CommittedFile | None) -> None:
    """Other bytes on disk: kept as backup, then replaced, even if an edit undid the new version."""
    stands = existing(digest)
    assert decide(plan(known=known), seen(stands)) == (
        KEPT,
        Sync(),
        Backup(),
        Replace(),
        SyncDirectory(),
        RECORD,
    )
    assert decide(plan(known=known, target=CONFIG), seen(stands)) == (
        KEPT,
        Sync(),
        Check(),
        Backup(),
        Replace(),
        SyncDirectory(),
        RECORD,
    )


@pytest.mark.parametrize("known", [None, KNOWN_OLD], ids=["unknown", "old"])
def test_bytes_that_are_there_unrecorded_are_recorded(known: CommittedFile | None) -> None:
    """S6: after a crash between rename and record, backup and file stay, the need is written."""
    assert decide(plan(known=known), seen(existing(NEW))) == (Adopt(), SyncDirectory(), RECORD)
    checked = decide(plan(known=known, target=CONFIG), seen(existing(NEW)))
    assert checked == (Check(), Adopt(), SyncDirectory(), RECORD)


@pytest.mark.parametrize("target", [plan().target, CONFIG])
def test_bytes_that_are_there_and_recorded_are_unchanged(target: Target) -> None:
    """Journal and disk agree: nothing is written, checked or reloaded."""
    decided = decide(plan(known=KNOWN_NEW, target=target), seen(existing(NEW)))
    assert decided == NotCommitted(ending=Ending.UNCHANGED)


@pytest.mark.parametrize("stands", [None, existing(), existing(NEW)], ids=["none", "old", "new"])
def test_a_file_of_another_size_than_announced_is_refused(stands: Existing | None) -> None:
    """The sender said how long it is; what arrived is something else."""
    for size in (0, 2, 4):
        claims = Claims(size=size, digest=OLD)
        assert decide(plan(claims=claims, known=KNOWN_NEW), seen(stands)) == NotCommitted(
            ending=Ending.SIZE_MISMATCH,
            detail=f"the sender announced {size} bytes, 3 arrived; send it again",
        )


@pytest.mark.parametrize("stands", [None, existing(), existing(NEW)], ids=["none", "old", "new"])
def test_a_file_with_another_digest_than_announced_is_refused(stands: Existing | None) -> None:
    """S2: chunks of two senders, say; both digests are told."""
    claims = Claims(size=3, digest=OLD)
    assert decide(plan(claims=claims, known=KNOWN_NEW), seen(stands)) == NotCommitted(
        ending=Ending.DIGEST_MISMATCH,
        detail=f"the sender announced SHA-256 {OLD.hex()}, "
        f"the joined chunks have {NEW.hex()}; send it again",
    )


@pytest.mark.parametrize("claims", [Claims(), Claims(size=3), Claims(digest=NEW)])
def test_a_file_that_is_what_was_announced_is_put_in_place(claims: Claims) -> None:
    """Each claim that holds, and none at all, lets the file pass."""
    assert decide(plan(claims=claims), seen()) == (
        FRESH,
        Sync(),
        Replace(),
        SyncDirectory(),
        RECORD,
    )


def test_an_empty_file_may_be_announced() -> None:
    """A size of 0 is a claim, not the lack of one."""
    empty = plan(segments=(Segment(0, 0),), claims=Claims(size=0))
    assert isinstance(decide(empty, seen()), tuple)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        (Shape.SYMLINK, "a symbolic link"),
        (Shape.DIRECTORY, "a directory"),
        (Shape.OTHER, "neither a file nor a directory"),
    ],
)
def test_only_a_regular_file_is_replaced(shape: Shape, told: str) -> None:
    """Whatever else stands there stays, and the operator is told what to do."""
    for known in (None, KNOWN_NEW):
        decided = decide(plan(known=known), seen(existing(None, shape=shape)))
        assert decided == NotCommitted(
            ending=Ending.REFUSED_NAME,
            detail=f"{told} stands in its place; remove it, and send it again",
        )


def test_a_new_file_gets_what_the_settings_say() -> None:
    """Owner, group and mode of the settings, and the time it is."""
    steps = decide(plan(owner="knot", group="dns", mode=0o600), seen(now=77.25))
    assert isinstance(steps, tuple)
    assert steps[0] == SetMetadata(
        uid=None, gid=None, owner="knot", group="dns", mode=0o600, mtime=77.25
    )


def test_a_replaced_file_gives_its_owner_and_mode_to_the_new_one() -> None:
    """What an operator set by hand outlives an update; the settings are for new files."""
    steps = decide(plan(owner="knot", group="dns", mode=0o600), seen(existing()))
    assert isinstance(steps, tuple)
    assert steps[0] == KEPT


@pytest.mark.parametrize(
    ("old", "now", "mtime"),
    [
        pytest.param(50, 100.5, 100.5, id="older"),
        pytest.param(100, 100.5, 101.0, id="of-the-same-second"),
        pytest.param(99, 100.0, 100.0, id="of-the-second-before"),
        pytest.param(200, 100.5, 201.0, id="of-the-future"),
    ],
)
def test_a_replaced_file_is_older_by_whole_seconds(old: int, now: float, mtime: float) -> None:
    """Daemons compare seconds: after a fast update or a clock that went back there is a change."""
    steps = decide(plan(), seen(existing(mtime=old), now=now))
    assert isinstance(steps, tuple)
    assert steps[0] == evolve(KEPT, mtime=mtime)
    assert int(mtime) > old


def test_a_plan_that_failed_made_nothing_visible() -> None:
    """Unless it is said: then only the journal does not know of the file."""
    assert not Failed(detail="disk full").visible
    assert Failed(detail="disk full", visible=True).visible


@given(
    target=st.sampled_from([plan().target, CONFIG]),
    known=st.sampled_from([None, KNOWN_NEW, KNOWN_OLD]),
    size=st.sampled_from([None, 3, 4]),
    digest=st.sampled_from([None, NEW, OLD]),
    stands=st.none()
    | st.builds(
        existing,
        st.sampled_from([None, NEW, OLD]),
        shape=st.sampled_from(Shape),
        mtime=st.integers(0, 1 << 33),
    ),
    now=st.floats(0, 1 << 33),
)
def test_the_order_of_commit_always_holds(
    target: Target,
    known: CommittedFile | None,
    size: int | None,
    digest: bytes | None,
    stands: Existing | None,
    now: float,
) -> None:
    """Metadata, sync, check, backup, replace, directory sync, record: some left out, none moved."""
    commit = plan(target=target, known=known, claims=Claims(size=size, digest=digest))
    decided = decide(commit, seen(stands, now=now))
    if isinstance(decided, NotCommitted):
        assert decided.detail or decided.ending is Ending.UNCHANGED
        return
    kinds = [ORDER.index(type(step)) for step in decided]
    assert kinds == sorted(set(kinds)), "out of order, or twice"
    assert decided[-2:] == (SyncDirectory(), RECORD), "never a record of what is not durable"
    assert (Check() in decided) == (target is CONFIG), "no configuration unchecked"
    replaces = Replace() in decided
    assert replaces == (stands is None or stands.digest != NEW)
    assert (Backup() in decided) == (replaces and stands is not None), "nothing lost"
    assert (Sync() in decided) == replaces, "never visible before it is durable"
    metadata = [step for step in decided if isinstance(step, SetMetadata)]
    assert bool(metadata) == replaces
    if metadata and stands is not None:
        assert int(metadata[0].mtime) > stands.mtime
