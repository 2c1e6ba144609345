"""Small things: alarms, catching up, which of two is newer, what outcomes and errors say."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from filesync import exceptions
from filesync._alarms import Alarm, Alarms
from filesync._catchup import CatchUp
from filesync._model import Claims, Kind, Origin, TopicPartition, TransferKey
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
from strategies import SOURCES, origins

P0, P1 = TopicPartition("files", 0), TopicPartition("files", 1)

# Alarms


def test_the_earliest_alarm_is_the_one_that_the_world_keeps() -> None:
    """None is set at first; later ones wait their turn."""
    alarms = Alarms()
    assert alarms.at == inf
    alarms.set(Alarm.EXPIRE, 5.0)
    alarms.set(Alarm.STOP, 3.0)
    assert (alarms.at, alarms.due(Alarm.EXPIRE), alarms.due(Alarm.SCHEDULER)) == (3.0, 5.0, inf)


def test_alarms_are_taken_once_and_in_order() -> None:
    """What is due is given out, the earliest first, and is due no more."""
    alarms = Alarms()
    for alarm, at in ((Alarm.EXPIRE, 5.0), (Alarm.STOP, 3.0), (Alarm.SCHEDULER, 5.5)):
        alarms.set(alarm, at)
    assert alarms.take(2.9) == ()
    assert alarms.take(5.0) == (Alarm.STOP, Alarm.EXPIRE)
    assert alarms.take(5.0) == ()
    assert alarms.at == 5.5


def test_an_alarm_that_is_set_again_is_moved() -> None:
    """Earlier, later, or to never."""
    alarms = Alarms()
    for at in (5.0, 9.0, 2.0):
        alarms.set(Alarm.STOP, at)
        assert alarms.at == at
    alarms.set(Alarm.STOP, inf)
    alarms.set(Alarm.STOP, inf)
    assert alarms.take(1e9) == ()


def test_an_alarm_that_was_set_to_never_can_be_ensured() -> None:
    """To set it to never is to clear it."""
    alarms = Alarms()
    alarms.set(Alarm.STOP, inf)
    alarms.ensure(Alarm.STOP, 5.0)
    assert alarms.at == 5.0


def test_an_alarm_that_is_ensured_stays_where_it_is() -> None:
    """Ensuring sets it only if it is not set: what comes often cannot put it off for ever."""
    alarms = Alarms()
    alarms.ensure(Alarm.STOP, 5.0)
    alarms.ensure(Alarm.STOP, 9.0)
    alarms.ensure(Alarm.STOP, 2.0)
    assert alarms.at == 5.0
    alarms.take(5.0)
    alarms.ensure(Alarm.STOP, 9.0)
    assert alarms.at == 9.0


def test_an_alarm_that_is_ensured_for_never_is_not_set() -> None:
    """Never is no instant: the next one that is ensured counts."""
    alarms = Alarms()
    alarms.ensure(Alarm.STOP, inf)
    alarms.ensure(Alarm.STOP, 5.0)
    assert alarms.at == 5.0


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["set", "ensure", "take"]),
            st.sampled_from(Alarm),
            st.sampled_from([*map(float, range(10)), inf]),
        )
    )
)
def test_alarms_are_a_table_of_instants(steps: list[tuple[str, Alarm, float]]) -> None:
    """Any sequence of calls does what it does to a plain table."""
    alarms, table = Alarms(), dict.fromkeys(Alarm, inf)
    for step, alarm, at in steps:
        if step == "take" and at < inf:
            taken = alarms.take(at)
            assert set(taken) == {alarm for alarm, due in table.items() if due <= at}
            assert [table[alarm] for alarm in taken] == sorted(table[alarm] for alarm in taken)
            table.update(dict.fromkeys(taken, inf))
        elif step == "set":
            alarms.set(alarm, at)
            table[alarm] = at
        else:
            alarms.ensure(alarm, at)
            table[alarm] = at if table[alarm] == inf else table[alarm]
        assert alarms.at == min(table.values())
        assert {alarm: alarms.due(alarm) for alarm in Alarm} == table


# Catching up


def test_a_log_that_is_not_known_is_not_caught_up_with() -> None:
    """Before the first partition is found there is nothing to be done with."""
    catchup = CatchUp()
    assert not catchup.begun
    assert not catchup.done
    catchup.advance({P0: 5})
    catchup.forget(P0)
    assert not catchup.begun
    assert not catchup.done


@pytest.mark.parametrize(("position", "done"), [(4, False), (5, True), (6, True)])
def test_the_end_is_reached_at_its_offset(position: int, *, done: bool) -> None:
    """An end is the next offset to be written: to be there is to have read all."""
    catchup = CatchUp()
    catchup.expect(P0, position, 5)
    assert catchup.begun
    assert catchup.done is done
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.advance({P0: position})
    assert catchup.done is done


def test_every_partition_has_to_come_to_its_end() -> None:
    """S10: one that is behind keeps the host from being ready; what is added is not waited for."""
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.expect(P1, 0, 3)
    done = []
    for positions in ({P0: 7}, {P0: 9, P1: 2}, {P1: 3}, {P0: 1, P1: 1}):
        catchup.advance(positions)
        done.append(catchup.done)
    assert done == [False, False, True, True]


def test_a_lost_partition_is_not_waited_for() -> None:
    """It has no end any more, until it is found again."""
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.forget(P0)
    assert catchup.done
    catchup.expect(P0, 2, 5)
    assert not catchup.done


def test_a_partition_that_is_read_from_its_end_is_not_behind() -> None:
    """What was expected of it before no longer counts: it may never move again."""
    catchup = CatchUp()
    catchup.expect(P0, 0, 5)
    catchup.expect(P0, 3, 3)
    assert catchup.done


# The model


@pytest.mark.parametrize(
    ("mine", "theirs", "age"),
    [
        pytest.param({"offset": 1}, {"offset": 2}, -1, id="earlier-in-one-partition"),
        pytest.param({"offset": 2}, {"offset": 1}, 1, id="later-in-one-partition"),
        pytest.param({"offset": 2}, {"offset": 2}, 0, id="the-same-record"),
        pytest.param(
            {"offset": 1, "timestamp": 9.0},
            {"offset": 2, "timestamp": 3.0},
            -1,
            id="in-one-partition-times-do-not-count",
        ),
        pytest.param(
            {"offset": 1, "generation": 5}, {"offset": 2, "generation": 4}, 1, id="generation"
        ),
        pytest.param(
            {"offset": 1, "generation": 0}, {"offset": 2, "generation": 0}, -1, id="one-generation"
        ),
        pytest.param(
            {"offset": 1, "generation": 5}, {"offset": 2}, -1, id="only-one-has-a-generation"
        ),
        pytest.param(
            {"source": P1, "offset": 9, "timestamp": 1.0},
            {"offset": 1, "timestamp": 2.0},
            -1,
            id="earlier-in-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 2.0},
            {"offset": 9, "timestamp": 1.0},
            1,
            id="later-in-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 0.0},
            {"offset": 9, "timestamp": 1.0},
            -1,
            id="at-the-beginning-of-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 1.0},
            {"offset": 9, "timestamp": 1.0},
            None,
            id="at-one-time",
        ),
        pytest.param(
            {"source": P1, "offset": 1},
            {"offset": 9, "timestamp": 1.0},
            None,
            id="one-has-no-time",
        ),
        pytest.param({"source": P1, "offset": 1}, {"offset": 9}, None, id="no-time-known"),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 2.0, "generation": 1},
            {"offset": 1, "timestamp": 1.0, "generation": 2},
            -1,
            id="generation-across-partitions",
        ),
        pytest.param(
            {"source": P1, "offset": 1, "timestamp": 2.0, "generation": 2},
            {"offset": 1, "timestamp": 1.0, "generation": 2},
            1,
            id="one-generation-across-partitions",
        ),
        pytest.param(
            {"offset": 1, "generation": 10**20 - 1},
            {"offset": 2, "generation": 10**20 - 2},
            1,
            id="generations-that-a-float-cannot-tell-apart",
        ),
    ],
)
def test_which_of_two_is_newer(
    mine: dict[str, Any], theirs: dict[str, Any], age: int | None
) -> None:
    """S15: two generations decide; else the place in one partition; else the time."""
    here = Origin(source=P0, offset=0)
    assert evolve(here, **mine).age_against(evolve(here, **theirs)) == age


@given(left=origins(), right=origins())
def test_what_is_newer_makes_the_other_one_older(left: Origin, right: Origin) -> None:
    """The answer does not depend on who is asked, and nothing is newer than itself."""
    there, back = left.age_against(right), right.age_against(left)
    assert (there is None) == (back is None)
    assert (there or 0) == -(back or 0)
    assert left.age_against(left) == 0


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ({"transfer_id": ""}, "a transfer id has 1 to 256 bytes"),
        ({"transfer_id": "\u00e9" * 128 + "t"}, "a transfer id has 1 to 256 bytes"),
        ({"size": -1}, "a file of -1 bytes cannot be announced"),
        ({"size": 10**10}, "a file of 10000000000 bytes cannot be announced"),
        ({"digest": b"x"}, "a SHA-256 digest has 32 bytes, not 1"),
        ({"generation": -1}, "a generation of -1 cannot be announced"),
        ({"generation": 10**20}, f"a generation of {10**20} cannot be announced"),
    ],
)
def test_a_claim_that_no_header_can_say_cannot_be_built(claim: dict[str, Any], told: str) -> None:
    """A sender learns of it before anything is sent."""
    with pytest.raises(ValueError, match=f"^{told}$"):
        Claims(**claim)


@pytest.mark.parametrize(
    "claim",
    [
        {"transfer_id": "t"},
        {"transfer_id": "\u00e9" * 128},
        {"size": 0},
        {"size": 10**10 - 1},
        {"generation": 0},
        {"generation": 10**20 - 1},
    ],
)
def test_the_extremes_of_a_claim_can_be_built(claim: dict[str, Any]) -> None:
    """The smallest and the largest of each."""
    assert Claims(**claim) == evolve(Claims(), **claim)


def test_places_are_shown_shortly() -> None:
    """As messages and directories show them."""
    assert str(P1) == "files[1]"
    assert str(Origin(source=P1, offset=7, timestamp=1.5, generation=3)) == "files[1]@7"
    assert str(TransferKey(1, 7)) == "1-7-0"
    assert str(TransferKey(1, 7, 2)) == "1-7-2"


def test_partitions_are_ordered_by_topic_and_number() -> None:
    """So that what is told of them is told in one order."""
    assert sorted([SOURCES[2], SOURCES[0], SOURCES[1]]) == list(SOURCES)
    assert TopicPartition("files", 2) < TopicPartition("files", 10)


# Outcomes

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
