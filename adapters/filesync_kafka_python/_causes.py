"""What kafka-python's exceptions mean to an operator."""

from __future__ import annotations

from collections.abc import Callable

from kafka import errors

from filesync_kafka_common import causes
from filesync_kafka_common.causes import Cause, one_line

__all__ = ["is_denial", "is_goodbye", "is_silence", "refusal", "suspicion", "text_of"]

_SIZE_OPTION = "receive_message_max_bytes"

#: How a failed TLS handshake is told, by a part of its text.
_HANDSHAKES: tuple[tuple[str, Callable[[str], Cause]], ...] = (
    ("hostname mismatch", causes.name_mismatch),
    ("ip address mismatch", causes.name_mismatch),
    ("certificate_verify_failed", causes.certificate_untrusted),
    ("certificate verify failed", causes.certificate_untrusted),
    ("alert", causes.certificate_refused),
    ("wrong_version_number", causes.no_tls_there),
    ("wrong version number", causes.no_tls_there),
    ("unexpected_eof", causes.no_tls_there),
    ("eof occurred in violation", causes.no_tls_there),
    ("record layer failure", causes.no_tls_there),
)

#: What the driver says where the other side only closes.
_CLOSED = ("socket disconnected", "connection closed", "connection reset", "broken pipe")

_DENIALS = (
    errors.SaslAuthenticationFailedError,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
)


def suspicion(problem: BaseException, servers: str, *, encrypted: bool) -> Cause | None:
    """
    Return what a failed connection may mean; None: nothing in particular.

    Args:
        problem: What the driver logged.
        servers: As the operator wrote them.
        encrypted: Whether we speak TLS.
    """
    told = text_of(problem)
    lowered = told.lower()
    if is_denial(problem):
        return _denial(problem)
    if not isinstance(problem, errors.KafkaConnectionError):
        return None
    if "dns" in lowered:
        return causes.name_unknown(told)
    if "refused" in lowered:
        return causes.unreachable(servers)
    if encrypted:
        for part, cause in _HANDSHAKES:
            if part in lowered:
                return cause(told)
    return None


def is_denial(problem: BaseException) -> bool:
    """Whether a broker does not let us in. Such a client never tries again by itself."""
    return isinstance(problem, _DENIALS)


def is_goodbye(problem: BaseException) -> bool:
    """Whether a broker closed a connection without a word."""
    lowered = text_of(problem).lower()
    return isinstance(problem, errors.KafkaConnectionError) and any(
        part in lowered for part in _CLOSED
    )


def refusal(problem: BaseException, *, topic: str, servers: str, right: str = "READ") -> Cause:
    """Return the cause for: a broker answered, and the answer is an error."""
    if is_denial(problem):
        return _denial(problem)
    match problem:
        case errors.UnknownTopicOrPartitionError():
            return causes.topic_missing(topic, servers)
        # Whoever may write to no topic at all gets no number as an idempotent producer either.
        case errors.TopicAuthorizationFailedError() | errors.ClusterAuthorizationFailedError():
            return causes.topic_forbidden(topic, right)
        case errors.MessageSizeTooLargeError() | errors.RecordListTooLargeError():
            return causes.oversized_record(text_of(problem))
        case errors.CorruptRecordError():
            return causes.damaged_record(text_of(problem))
        case errors.InvalidReceiveError():
            return causes.large_record(_SIZE_OPTION, text_of(problem))
        case _ if errors.ClusterAuthorizationFailedError.__name__ in str(problem):
            return causes.topic_forbidden(topic, right)
        case errors.BrokerResponseError():
            name = getattr(problem, "message", "") or type(problem).__name__
            return causes.other_answer(servers, name, text_of(problem))
        case _:
            return causes.other_answer(servers, type(problem).__name__, text_of(problem))


def _denial(problem: BaseException) -> Cause:
    told = text_of(problem)
    match problem:
        case errors.UnsupportedSaslMechanismError():
            return causes.mechanism_missing(told)
        case errors.IllegalSaslStateError():
            return causes.no_login_there(told)
        case _:
            return causes.credentials_refused(told)


def is_silence(problem: BaseException) -> bool:
    """Whether *problem* says only that nobody could be asked, or answered."""
    if isinstance(problem, errors.RequestTimedOutError):
        return True
    return isinstance(problem, errors.RetriableError) and not isinstance(
        problem, errors.BrokerResponseError
    )


def text_of(problem: BaseException) -> str:
    """Return in one line what *problem* says."""
    return one_line(str(problem) or type(problem).__name__)
