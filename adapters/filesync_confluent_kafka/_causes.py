"""
What librdkafka's errors mean to an operator.

Neither of the driver's own flags (fatal, retriable) is set on the errors seen
here, so they are told apart by name; a refused certificate has no name of its
own, only a text.
"""

from __future__ import annotations

import re

from confluent_kafka import KafkaError

from filesync_kafka_common import causes
from filesync_kafka_common.causes import Cause

__all__ = ["refusal", "suspicion", "text_of"]

#: The driver's texts end in its own state and in how often it was silent.
_TAIL = re.compile(r"\s*\(after \d+ms in state \w+.*", re.DOTALL)

#: Which option bounds what may be received.
_SIZE_OPTION = "receive.message.max.bytes"


def suspicion(name: str, text: str, servers: str) -> Cause | None:
    """
    Return what a failed connection may mean; None: nothing in particular.

    Args:
        name: Of the error, such as ``_SSL``.
        text: The driver's own.
        servers: As the operator wrote them.
    """
    told = _one_line(text)
    lowered = told.lower()
    match name:
        case "_AUTHENTICATION" | "SASL_AUTHENTICATION_FAILED" | "UNSUPPORTED_SASL_MECHANISM":
            return _authentication(told)
        case "_SSL" if "mismatch" in lowered:
            return causes.name_mismatch(told)
        case "_SSL" if "certificate verify failed" in lowered:
            # What follows is a guess, in the driver's words for our settings.
            return causes.certificate_unfit(told.partition(": broker certificate")[0])
        case "_SSL":
            return causes.certificate_untrusted(told)
        case "_TRANSPORT" if "ssl alert" in lowered:
            return causes.certificate_refused(told)
        case "_TRANSPORT" if "ssl connection closed" in lowered:
            return causes.no_tls_there(told)
        case "_TRANSPORT" if "refused" in lowered:
            return causes.unreachable(servers)
        case "_RESOLVE":
            return causes.name_unknown(told)
        case _:
            return None


def _authentication(told: str) -> Cause:
    lowered = told.lower()
    if "credentials" in lowered or "password" in lowered:
        return causes.credentials_refused(told)
    if lowered.rstrip().endswith("supported mechanisms:"):
        return causes.no_login_there(told)
    if "supported mechanisms:" in lowered:
        return causes.mechanism_missing(told)
    return causes.login_refused(told)


def refusal(name: str, text: str, *, topic: str, servers: str, right: str = "READ") -> Cause:
    """Return the cause for: a broker answered, and the answer is an error."""
    match name:
        case "UNKNOWN_TOPIC_OR_PART" | "_UNKNOWN_TOPIC" | "_UNKNOWN_PARTITION":
            return causes.topic_missing(topic, servers)
        # Whoever may write to no topic at all gets no number as an idempotent producer either.
        case "TOPIC_AUTHORIZATION_FAILED" | "CLUSTER_AUTHORIZATION_FAILED":
            return causes.topic_forbidden(topic, right)
        case "MSG_SIZE_TOO_LARGE":
            return causes.oversized_record(_one_line(text))
        case "_BAD_MSG" if "crc" in text.lower():
            return causes.damaged_record(_one_line(text))
        case "_BAD_MSG":
            return causes.large_record(_SIZE_OPTION, _one_line(text))
        case _:
            return causes.other_answer(servers, name, _one_line(text))


def text_of(problem: object) -> str:
    """Return in one line what a `KafkaError`, or an exception that holds one, says."""
    error = problem.args[0] if isinstance(problem, BaseException) and problem.args else problem
    return _one_line(str(error.str() if isinstance(error, KafkaError) else error))


def _one_line(text: str) -> str:
    return causes.one_line(_TAIL.sub("", text))
