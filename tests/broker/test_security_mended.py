"""Security on a real broker: what is mended, or taken away, while a client knocks or reads."""

from __future__ import annotations

import uuid

import pytest

from filesync import TopicPartition
from support.kafka import PASSWORD, KafkaBroker
from support.secured import (
    GROUP,
    MENDED_WITHIN,
    TOLD_WITHIN,
    WRONG,
    Client,
    check,
    check_cost,
    publish_one,
)
from support.waiting import eventually

pytestmark = [
    pytest.mark.kafka,
    pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning"),
]


@pytest.fixture(name="user")
def _user(secured_broker: KafkaBroker, secured_topic: str) -> str:
    """Return a new user who may read the topic, and has another password than we think."""
    name = f"user-{uuid.uuid4().hex}"
    secured_broker.set_password(name, WRONG)
    secured_broker.grant(name, "READ", topic=secured_topic)
    return name


# What can be mended


def _come_in(client: Client, user: str) -> None:
    """Come in with the password that *user* has, and read the record."""
    client.password.write_text(WRONG)
    client.start("scram", client.login(sasl_username=user))
    eventually(lambda: client.reads(1), TOLD_WITHIN, what="the record, and good health")


def _be_turned_away(client: Client, user: str) -> None:
    """Come with another password; wait until that is told."""
    client.start("scram", client.login(sasl_username=user))
    eventually(client.cause, TOLD_WITHIN, what="a cause")
    assert not client.records


def test_a_password_is_corrected_at_the_broker(
    secured_broker: KafkaBroker, client: Client, user: str
) -> None:
    """It reads without a restart."""
    _be_turned_away(client, user)

    secured_broker.set_password(user, PASSWORD)

    eventually(lambda: client.reads(1), MENDED_WITHIN, what="the record, and good health")


def test_a_password_is_corrected_in_our_file(client: Client, user: str) -> None:
    """It reads without a restart."""
    _be_turned_away(client, user)

    client.password.write_text(f"{WRONG}\n")

    eventually(lambda: client.reads(1), MENDED_WITHIN, what="the record, and good health")


def test_a_password_is_changed_while_it_reads(
    secured_broker: KafkaBroker, client: Client, user: str, secured_topic: str
) -> None:
    """It is noticed when the connection is lost, told, cheap, and mended without a restart."""
    _come_in(client, user)

    secured_broker.set_password(user, PASSWORD)
    secured_broker.restart()
    eventually(
        lambda: _names(client.cause(), "sasl-password-file"), 2 * TOLD_WITHIN, what="the cause"
    )
    check_cost(client.measure("scram"))

    client.password.write_text(PASSWORD)
    publish_one(secured_broker, secured_topic)
    eventually(lambda: client.reads(2), MENDED_WITHIN, what="the next record, and good health")
    assert client.records == 2


def _names(cause: str | None, word: str) -> bool:
    return cause is not None and word in cause


# Rights


@pytest.mark.parametrize("seen", [False, True], ids=["nothing", "only-describe"])
def test_the_right_to_read_is_missing_and_granted(
    secured_broker: KafkaBroker, client: Client, user: str, secured_topic: str, *, seen: bool
) -> None:
    """It is told, and asking again is cheap; granted, records flow without a restart."""
    client.password.write_text(WRONG)
    secured_broker.revoke(user, "READ", topic=secured_topic)
    if seen:
        secured_broker.grant(user, "DESCRIBE", topic=secured_topic)
    client.start("scram", client.login(sasl_username=user))

    eventually(lambda: _names(client.cause(), "READ"), TOLD_WITHIN, what="the cause")
    spent = client.measure("scram")
    assert secured_topic in client.causes[-1]
    assert "READ" in client.causes[-1]
    check(client, spent)

    secured_broker.grant(user, "READ", topic=secured_topic)
    eventually(lambda: client.reads(1), MENDED_WITHIN, what="the record, and good health")


def test_the_right_to_read_is_revoked_and_granted(
    secured_broker: KafkaBroker, client: Client, user: str, secured_topic: str
) -> None:
    """While it reads: it is told; and nothing is lost, or read twice."""
    _come_in(client, user)

    secured_broker.revoke(user, "READ", topic=secured_topic)
    publish_one(secured_broker, secured_topic)  # A fetch that waits may still bring it, or not.
    eventually(lambda: _names(client.cause(), "READ"), TOLD_WITHIN, what="the cause")
    check_cost(client.measure("scram"))

    secured_broker.grant(user, "READ", topic=secured_topic)
    publish_one(secured_broker, secured_topic)
    eventually(lambda: client.reads(3), MENDED_WITHIN, what="all records, and good health")
    assert client.records == 3


def test_the_right_to_the_group_is_missing_and_granted(
    secured_broker: KafkaBroker, client: Client, user: str, secured_topic: str
) -> None:
    """Reading goes on; that offsets cannot be told is said; granted, they are told."""
    _come_in(client, user)
    offsets = {TopicPartition(secured_topic, 0): 1}

    error = client.transport.commit_offsets(offsets).error
    assert error == f"no right on the group {GROUP!r}: grant us READ on it"
    publish_one(secured_broker, secured_topic)
    eventually(lambda: client.reads(2), TOLD_WITHIN, what="the next record, and good health")

    secured_broker.grant(user, "READ", group=GROUP)
    eventually(
        lambda: client.transport.commit_offsets(offsets).error is None,
        TOLD_WITHIN,
        what="offsets are told",
    )
