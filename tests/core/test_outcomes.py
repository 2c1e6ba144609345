"""What outcomes and errors say."""

from __future__ import annotations

import pytest
from attrs import evolve

from filesync import exceptions
from filesync._model import Kind, Origin, TopicPartition
from filesync._outcomes import (
    ActionEnded,
    CaughtUp,
    CommitRetried,
    Ending,
    FaultSeen,
    HealthChanged,
    Outcome,
    RecordRefused,
    SpoolRetried,
    TransferEnded,
)
from filesync.daemon import (
    ActionKind,
    ActionResult,
    Assumed,
    Misconfigured,
    Refused,
    Served,
    Unknown,
    Unreachable,
)
from filesync.exceptions import FileSyncError, SettingsError, TransportError
from filesync.transport import Polled

P0 = TopicPartition("files", 0)


ORIGIN = Origin(source=P0, offset=7)


def ended(result: ActionResult, retry_in: float | None = None) -> ActionEnded:
    """Return how a reload of two files ended."""
    return ActionEnded(action=ActionKind.RELOAD, result=result, files=("a", "b"), retry_in=retry_in)


@pytest.mark.parametrize(
    ("outcome", "label", "text", "fine"),
    [
        pytest.param(
            TransferEnded(ending=Ending.COMMITTED, name="a", origin=ORIGIN, size=3),
            "committed",
            "a from files[0]@7: committed",
            True,
            id="transfer",
        ),
        pytest.param(
            TransferEnded(ending=Ending.EXPIRED, name="a", origin=ORIGIN, detail="2 are missing"),
            "expired",
            "a from files[0]@7: expired: 2 are missing",
            False,
            id="transfer-with-detail",
        ),
        pytest.param(
            RecordRefused(ending=Ending.MALFORMED, source=P0, offset=7, detail="chunk 4 of 3"),
            "malformed",
            "record files[0]@7: malformed: chunk 4 of 3",
            False,
            id="record",
        ),
        pytest.param(
            RecordRefused(ending=Ending.LATE_DUPLICATE, source=P0, offset=7, detail="again"),
            "late_duplicate",
            "record files[0]@7: late_duplicate: again",
            True,
            id="late-record",
        ),
        pytest.param(
            ActionEnded(
                action=ActionKind.RENEW, result=Served("all"), files=tuple("abcdefg"), retry_in=None
            ),
            "renew_served",
            "renew of a, b, c, d, e and 2 more: served (all)",
            True,
            id="many-files",
        ),
        pytest.param(
            ended(Served("serial 7")),
            "reload_served",
            "reload of a, b: served (serial 7)",
            True,
            id="served",
        ),
        pytest.param(
            evolve(ended(Assumed("it said nothing")), action=ActionKind.RENEW),
            "renew_assumed",
            "renew of a, b: assumed (it said nothing)",
            True,
            id="assumed",
        ),
        pytest.param(
            ended(Refused("line 3")),
            "reload_refused",
            "reload of a, b: refused: line 3; not tried again until a file changes",
            False,
            id="refused",
        ),
        pytest.param(
            ended(Unknown("no answer in 10 s"), 2.5),
            "reload_unknown",
            "reload of a, b: unknown: no answer in 10 s; tried again in 2.5 s",
            False,
            id="unknown",
        ),
        pytest.param(
            ended(Unreachable("no socket"), 60.0),
            "reload_unreachable",
            "reload of a, b: unreachable: no socket; tried again in 60 s",
            False,
            id="unreachable",
        ),
        pytest.param(
            ended(Misconfigured("no rndc"), 0.0),
            "reload_misconfigured",
            "reload of a, b: misconfigured: no rndc; tried again in 0 s",
            False,
            id="misconfigured",
        ),
        pytest.param(
            CommitRetried(name="a", origin=ORIGIN, detail="disk full", retry_in=4.0),
            "commit_retried",
            "a: disk full; tried again in 4 s",
            False,
            id="commit-retried",
        ),
        pytest.param(
            SpoolRetried(name="a", detail="disk full", retry_in=1.0),
            "spool_retried",
            "a: chunks cannot be stored: disk full; reading waits, tried again in 1 s",
            False,
            id="spool-retried",
        ),
        pytest.param(
            FaultSeen(label="log_gap", detail="records are gone"),
            "log_gap",
            "records are gone",
            False,
            id="fault",
        ),
        pytest.param(
            FaultSeen(label="log_gap", detail="nothing", fine=True),
            "log_gap",
            "nothing",
            True,
            id="harmless-fault",
        ),
        pytest.param(
            HealthChanged(up=True, detail="connected"),
            "health_changed",
            "connected",
            True,
            id="healthy",
        ),
        pytest.param(
            HealthChanged(up=False, detail="refused"),
            "health_changed",
            "refused",
            False,
            id="unhealthy",
        ),
        pytest.param(
            CaughtUp(files=3), "caught_up", "caught up with the log; 3 file(s) known", True, id="up"
        ),
    ],
)
def test_an_outcome_has_a_word_and_a_line(
    outcome: Outcome, label: str, text: str, *, fine: bool
) -> None:
    """A word for counters, a line for people, and whether anybody needs to look at it."""
    assert (outcome.label, str(outcome), outcome.fine) == (label, text, fine)


@pytest.mark.parametrize(
    ("files", "named"),
    [("a", "a"), ("abcde", "a, b, c, d, e"), ("abcdef", "a, b, c, d, e and 1 more")],
)
def test_five_of_the_changed_files_are_named(files: str, named: str) -> None:
    """The others are counted: it is one line."""
    outcome = ActionEnded(action=ActionKind.RENEW, result=Served("all"), files=tuple(files))
    assert str(outcome) == f"renew of {named}: served (all)"


def test_a_transfer_that_never_was_whole_has_no_size() -> None:
    """And a poll that brought nothing passed nothing over."""
    assert TransferEnded(ending=Ending.EXPIRED, name="a", origin=ORIGIN).size == 0
    assert Polled() == Polled(records=(), positions={}, passed_over=0, faults=())


@pytest.mark.parametrize("ending", Ending)
def test_only_four_endings_need_no_attention(ending: Ending) -> None:
    """Where the sender's file is what readers see, or is older."""
    fine = ending.value in {"committed", "unchanged", "superseded", "late_duplicate"}
    assert TransferEnded(ending=ending, name="a", origin=ORIGIN).fine is fine
    assert RecordRefused(ending=ending, source=P0, offset=7, detail="").fine is fine


def test_the_endings_are_those_of_the_design() -> None:
    """Counters and dashboards hang on these words."""
    assert {ending.value for ending in Ending} == {
        "committed",
        "unchanged",
        "superseded",
        "late_duplicate",
        "expired",
        "head_missing",
        "digest_mismatch",
        "size_mismatch",
        "ambiguous",
        "split_partition",
        "refused_quota",
        "refused_name",
        "refused_policy",
        "invalid",
        "quarantined",
        "malformed",
    }


def test_a_reload_covers_a_renew() -> None:
    """The stronger action has the larger strength; each kind of file has its own."""
    assert ActionKind.RELOAD.strength > ActionKind.RENEW.strength
    assert {kind.value for kind in Kind} == {"data", "config"}


# Errors


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_error_is_one_of_ours(name: str) -> None:
    """One `except FileSyncError` catches all that filesync raises on purpose."""
    assert issubclass(getattr(exceptions, name), FileSyncError)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SettingsError("is missing", source="f.yaml"), "f.yaml: is missing"),
        (SettingsError("bad", source="f.yaml", line=3), "f.yaml, line 3: bad"),
        (SettingsError("bad", source="f.yaml", key="kafka.topic"), "f.yaml: kafka.topic: bad"),
        (
            SettingsError("bad", source="f.yaml", line=3, key="kafka.topic"),
            "f.yaml, line 3: kafka.topic: bad",
        ),
    ],
)
def test_a_settings_error_says_where(error: SettingsError, text: str) -> None:
    """File, line and key, as far as they are known."""
    assert str(error) == text


def test_a_settings_error_keeps_its_parts() -> None:
    """For a program that shows them in its own way."""
    error = SettingsError("bad", source="f.yaml", line=3, key="kafka.topic")
    assert (error.source, error.line, error.key) == ("f.yaml", 3, "kafka.topic")
    bare = SettingsError("bad", source="f.yaml")
    assert (bare.line, bare.key) == (None, "")


def test_a_transport_error_says_whether_to_try_again() -> None:
    """Not unless it is said."""
    assert not TransportError("bad").retriable
    assert TransportError("bad", retriable=True).retriable
    assert str(TransportError("bad", retriable=True)) == "bad"
