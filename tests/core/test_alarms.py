"""What is due, and when: the earliest alarm is the one that is set."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from filesync._alarms import Alarm, Alarms


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
