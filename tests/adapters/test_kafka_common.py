"""Health, secrets and renewal, which all adapters for Kafka drivers share: pure, or files only."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from filesync import KafkaSettings, Settings
from filesync.exceptions import TransportError
from filesync.testing import ManualClock
from filesync.transport import Health
from filesync_kafka_common import causes
from filesync_kafka_common.renewal import Renewal
from filesync_kafka_common.secrets import fingerprint, read_login, read_secret, read_tls
from filesync_kafka_common.weather import Layer, Weather

_SERVERS = "broker.example:9092"


def _settings(**kafka: Any) -> Settings:
    return Settings(hostname="ns1.example", kafka=KafkaSettings(**kafka))


# Weather


@pytest.fixture(name="clock")
def _clock() -> ManualClock:
    return ManualClock()


@pytest.fixture(name="weather")
def _weather(clock: ManualClock) -> Weather:
    return Weather(_SERVERS, clock)


def test_it_is_fair_when_the_topic_was_seen(weather: Weather) -> None:
    """Not before."""
    assert weather.health == Health(up=False, cause="connecting to broker.example:9092")
    weather.seen("connected")
    assert weather.health == Health(up=True, cause="connected")


def test_one_broker_that_fails_harms_nothing(weather: Weather) -> None:
    """There may be others."""
    weather.seen("connected")
    weather.connection_failed(causes.certificate_untrusted("verify failed"))
    assert weather.health.up


def test_when_all_are_down_the_last_failure_explains_it(weather: Weather) -> None:
    """The driver itself does not connect the two."""
    weather.connection_failed(causes.certificate_untrusted("verify failed"))
    weather.all_failed()
    assert "check kafka.ca-file" in weather.health.cause


def test_an_old_failure_explains_nothing(weather: Weather, clock: ManualClock) -> None:
    """What was wrong half a minute ago may be right now."""
    weather.connection_failed(causes.certificate_untrusted("verify failed"))
    clock.advance(31)
    weather.all_failed()
    assert weather.health.cause.startswith("cannot reach a broker at broker.example:9092")


def test_a_failure_before_the_broker_answered_explains_nothing(weather: Weather) -> None:
    """It was overcome."""
    weather.connection_failed(causes.certificate_untrusted("verify failed"))
    weather.seen("connected")
    weather.all_failed()
    assert weather.health.cause.startswith("cannot reach")


def test_the_same_trouble_is_the_same_health(weather: Weather) -> None:
    """However its text differs from attempt to attempt."""
    weather.connection_failed(causes.certificate_untrusted("verify failed"))
    weather.all_failed()
    before = weather.health
    weather.connection_failed(causes.certificate_untrusted("it failed again"))
    weather.all_failed()
    weather.unanswered()
    assert weather.health is before


def test_a_better_explanation_replaces_none(weather: Weather) -> None:
    """Silence tells less than a refusal."""
    weather.unanswered()
    assert weather.health.cause.startswith("no answer from a broker")
    weather.connection_failed(causes.name_unknown("no such name"))
    weather.all_failed()
    assert "cannot be resolved" in weather.health.cause


def test_a_look_at_the_topic_does_not_end_trouble_with_reading(weather: Weather) -> None:
    """Who may describe a topic may not always read it."""
    weather.trouble(Layer.READING, causes.topic_forbidden("zones"))
    weather.seen("connected")
    assert weather.health.cause.startswith("no right to the topic")

    weather.clear(Layer.READING)
    assert weather.health == Health(up=True, cause="connected")


def test_trouble_with_the_connection_is_told_first(weather: Weather) -> None:
    """Everything else follows from it."""
    weather.trouble(Layer.TOPIC, causes.topic_missing("zones", _SERVERS))
    weather.unanswered()
    assert weather.health.cause.startswith("no answer")
    weather.clear(Layer.CONNECTION)
    assert weather.health.cause.startswith("there is no topic")


def test_a_failure_is_remembered_for_a_while(weather: Weather, clock: ManualClock) -> None:
    """So that nobody blocks on a broker that is not there."""
    seen = [weather.knocking]
    weather.connection_failed(None)
    seen.append(weather.knocking)
    clock.advance(6)
    seen.append(weather.knocking)
    assert seen == [False, True, False]


# Secrets


@pytest.mark.parametrize(
    ("content", "secret"),
    [(b"x", "x"), (b"x\n", "x"), (b"x\r\n", "x"), (b"x\n\n", "x\n"), (b" x ", " x ")],
)
def test_one_newline_is_not_part_of_a_secret(tmp_path: Path, content: bytes, secret: str) -> None:
    """Everything else may be."""
    path = tmp_path / "secret"
    path.write_bytes(content)

    assert read_secret(str(path), "sasl-password-file") == secret


def test_a_secret_that_is_not_text_is_refused(tmp_path: Path) -> None:
    """Without its content in the message."""
    path = tmp_path / "secret"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(TransportError, match="is not UTF-8 text"):
        read_secret(str(path), "sasl-password-file")


def test_a_replaced_file_is_noticed(secure: dict[str, Any]) -> None:
    """Each of them; nothing else changes the fingerprint."""
    settings = _settings(**secure)
    seen = {fingerprint(settings)}
    assert fingerprint(settings) in seen

    for name, value in secure.items():
        if name.endswith("_file"):
            Path(value).write_text("another")
            seen.add(fingerprint(settings))

    assert len(seen) == 6


def test_no_secret_is_shown(secure: dict[str, Any]) -> None:
    """Not even by accident, in a traceback or a log."""
    settings = _settings(**secure)
    shown = f"{read_tls(settings)} {read_login(settings)}"
    assert "opens" not in shown
    assert read_tls(settings).key_password == "opens the key"
    assert read_login(settings).password == "opens the broker"


# Renewal


def _renewal(settings: Settings, clock: ManualClock) -> Renewal:
    renewal = Renewal(settings, down_for=60, denied_for=15, clock=clock)
    renewal.opened()
    return renewal


def test_replaced_files_renew_while_the_weather_is_bad(
    secure: dict[str, Any], clock: ManualClock
) -> None:
    """Looked at every five seconds, and not while all is well."""
    renewal = _renewal(_settings(**secure), clock)
    Path(secure["sasl_password_file"]).write_text("another")
    assert not renewal.is_due(fair=True)
    assert renewal.is_due(fair=False)
    assert not renewal.is_due(fair=False), "looked at just now"
    clock.advance(5)
    assert renewal.is_due(fair=False)
    renewal.opened()
    clock.advance(5)
    assert not renewal.is_due(fair=False)


def test_a_file_that_is_being_written_renews_nothing(
    secure: dict[str, Any], clock: ManualClock
) -> None:
    """It is there again in a moment."""
    renewal = _renewal(_settings(**secure), clock)
    Path(secure["cert_file"]).unlink()
    assert not renewal.is_due(fair=False)


def test_brokers_that_are_away_for_long_may_have_moved(clock: ManualClock) -> None:
    """The driver itself does not ask the servers of the settings again."""
    renewal = _renewal(_settings(), clock)
    clock.advance(100)
    assert not renewal.is_due(fair=True)
    clock.advance(59)
    assert not renewal.is_due(fair=False)
    clock.advance(5)
    assert renewal.is_due(fair=False)
    other = Renewal(_settings(), clock=clock)
    other.opened()
    clock.advance(1000)
    assert not other.is_due(fair=False), "some drivers ask by themselves"


def test_clients_that_were_denied_are_replaced(clock: ManualClock) -> None:
    """At once where they were let in before; otherwise now and then."""
    renewal = _renewal(_settings(), clock)
    assert not renewal.is_due(fair=False, denied=True)
    clock.advance(14)
    assert not renewal.is_due(fair=False, denied=True)
    clock.advance(5)
    assert renewal.is_due(fair=False, denied=True)
    renewal.opened()
    clock.advance(7)
    assert not renewal.is_due(fair=True)
    assert not renewal.is_due(fair=False)
    clock.advance(1)
    assert renewal.is_due(fair=False, denied=True), "before the next look would be due"


# Documentation

_DOCS = Path(__file__).parents[2] / "docs"


def _told() -> list[str]:
    """Return what every cause says, for some server and topic."""
    arguments = {
        "servers": _SERVERS,
        "topic": "zones",
        "told": "",
        "option": "o",
        "name": "n",
        "right": "READ",
        "timeout": 60.0,
        "health": "h",
    }
    functions = [getattr(causes, name) for name in causes.__all__]
    return [
        function(
            **{
                name: arguments.get(name, authenticated)
                for name in inspect.signature(function).parameters
            }
        ).what
        for function in functions
        for authenticated in (True, False)
        if inspect.isfunction(function) and function is not causes.one_line
    ]


def test_how_to_secure_tells_what_to_check() -> None:
    """Whatever the health says about a connection, a login or a right, the page has it."""
    page = (_DOCS / "how-to" / "secure.md").read_text(encoding="utf-8")
    rows = [line.split(" | ")[0].strip("| ") for line in page.splitlines() if line.startswith("| ")]
    others = ("record is", " answers n", "not acknowledged")
    told = [what for what in _told() if not any(other in what for other in others)]
    assert len(told) >= 13
    for what in told:
        assert any(row in what for row in rows[1:]), what
    for row in rows[1:]:
        assert any(row in what for what in told), row


def test_every_cause_says_what_to_do() -> None:
    """It names a setting, a right or a question."""
    hints = (
        "kafka.",
        "grant",
        "?",
        "answers",
        "damaged",
        "send smaller chunks",
        "not acknowledged",
    )
    for what in _told():
        assert any(hint in what for hint in hints), what
