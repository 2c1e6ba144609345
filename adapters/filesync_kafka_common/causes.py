"""
Why a log cannot be read, in the words of an operator: one line each, with what to do.

Every driver has its own names for these; an adapter knows which is which.
"""

from __future__ import annotations

from attrs import frozen

__all__ = [
    "Cause",
    "certificate_refused",
    "certificate_unfit",
    "certificate_untrusted",
    "closed",
    "credentials_refused",
    "damaged_record",
    "large_record",
    "login_refused",
    "mechanism_missing",
    "name_mismatch",
    "name_unknown",
    "no_login_there",
    "no_tls_there",
    "one_line",
    "other_answer",
    "oversized_record",
    "topic_forbidden",
    "topic_missing",
    "unacknowledged",
    "unanswered",
    "unreachable",
]

#: Characters of a driver's text that are told.
_TOLD = 300


@frozen
class Cause:
    """
    Why the log cannot be read.

    Attributes:
        what: What is wrong and what to do; the same for the same failure.
        told: What the driver said; may be empty.
    """

    what: str
    told: str = ""

    def __str__(self) -> str:
        return f"{self.what} ({self.told})" if self.told else self.what


def one_line(text: str) -> str:
    """Return *text* in one line, and not too much of it."""
    return " ".join(text.split())[:_TOLD]


# No connection


def unreachable(servers: str) -> Cause:
    """No broker can be had, and nothing says why."""
    return Cause(
        f"cannot reach a broker at {servers}: is it running, "
        "are kafka.server and kafka.security-protocol right?"
    )


def unanswered(servers: str) -> Cause:
    """Somebody is there, and says nothing."""
    return Cause(f"no answer from a broker at {servers}: is it overloaded, or stalled?")


def name_unknown(told: str) -> Cause:
    """A host name has no address."""
    return Cause("the name of a broker cannot be resolved: check kafka.server", told)


def closed(servers: str, *, authenticated: bool) -> Cause:
    """
    They close whatever we say, without a word.

    Very likely they speak TLS, or want a login; where we try one, *authenticated*,
    it is mostly that.
    """
    if authenticated:
        return Cause(
            f"a broker at {servers} closes the connection during the login: check "
            "kafka.sasl-username, sasl-password-file, sasl-mechanism and security-protocol"
        )
    return Cause(
        f"a broker at {servers} closes every connection: "
        "does it want TLS or a login there? Check kafka.security-protocol"
    )


# No agreement on TLS


def certificate_untrusted(told: str) -> Cause:
    """The broker's certificate is not signed by whom we trust."""
    return Cause("the broker's certificate is not accepted: check kafka.ca-file", told)


def certificate_unfit(told: str) -> Cause:
    """Either of these two; which one is not said."""
    return Cause(
        "the broker's certificate is not accepted: check kafka.ca-file, "
        "and that kafka.server is a name in the certificate",
        told,
    )


def name_mismatch(told: str) -> Cause:
    """The broker's certificate is somebody else's."""
    return Cause("the broker's certificate is for another name: check kafka.server", told)


def certificate_refused(told: str) -> Cause:
    """The broker does not like ours, or misses it."""
    return Cause(
        "the broker refuses our certificate, or wants one: check kafka.cert-file, key-file", told
    )


def no_tls_there(told: str) -> Cause:
    """We speak TLS, and they do not."""
    return Cause("the broker does not speak TLS there: check kafka.security-protocol", told)


# No login


def credentials_refused(told: str) -> Cause:
    """User or password are wrong."""
    return Cause(
        "the broker refuses user or password: check kafka.sasl-username, sasl-password-file", told
    )


def mechanism_missing(told: str) -> Cause:
    """It is not among those that the broker offers."""
    return Cause("the broker does not offer this mechanism: check kafka.sasl-mechanism", told)


def no_login_there(told: str) -> Cause:
    """The listener wants no login."""
    return Cause("the broker does not speak SASL there: check kafka.security-protocol", told)


def login_refused(told: str) -> Cause:
    """Why is not said."""
    return Cause(
        "the broker does not let us in: check kafka.security-protocol and kafka.sasl-…", told
    )


# An answer that is an error


def topic_missing(topic: str, servers: str) -> Cause:
    """There is no such topic."""
    return Cause(f"there is no topic {topic!r} at {servers}: create it, or correct kafka.topic")


def topic_forbidden(topic: str, right: str = "READ") -> Cause:
    """A right is missing: *right*, READ or WRITE, is what we came for."""
    return Cause(f"no right to the topic {topic!r}: grant us {right} and DESCRIBE on it")


def damaged_record(told: str) -> Cause:
    """A checksum does not fit."""
    return Cause("a record is damaged in the log, or was on its way", told)


def large_record(option: str, told: str) -> Cause:
    """It does not fit into what the driver's *option* allows."""
    return Cause(f"a record is larger than may be received: raise {option} in kafka.options", told)


def oversized_record(told: str) -> Cause:
    """The broker takes none of this size."""
    return Cause(
        "a record is larger than the broker takes: send smaller chunks, "
        "or raise max.message.bytes of the topic",
        told,
    )


def unacknowledged(timeout: float, health: str) -> Cause:
    """Nothing was heard of a record; *health* says what is known of the broker."""
    return Cause(f"not acknowledged within {timeout:g} s: {health}")


def other_answer(servers: str, name: str, told: str) -> Cause:
    """Return the cause for: an error that means nothing in particular to us."""
    return Cause(f"a broker at {servers} answers {name}", told)
