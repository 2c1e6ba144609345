"""
Is a record meant for this host? Asked of every record, before it is built.

A matcher sees key and headers only and costs well under a microsecond. A
record whose addressee cannot be told is *wanted*, so that the codec can
refuse it aloud instead of its being passed over in silence.

Source: docs/reference/wire-format.md, "Routing".
"""

from __future__ import annotations

from filesync._model import Headers
from filesync.transport import Matcher

__all__ = ["HOSTNAME_HEADER", "by_hostname", "by_key", "comparable"]

HOSTNAME_HEADER = "hostname"

#: Other hosts' names that are remembered; a fleet is smaller than this.
_MEMORY = 4096

#: Bytes of a host name in text form; what is longer is nobody's name.
_LONGEST_NAME = 255


def comparable(name: bytes) -> bytes:
    """Return a host name as it is compared: ASCII case and a dot at the end do not count."""
    return name.lower().removesuffix(b".")


def by_hostname(hostname: str) -> Matcher:
    """Return a matcher for records whose ``hostname`` header is *hostname*."""
    mine = comparable(hostname.encode())
    verdicts: dict[bytes, bool] = {}

    def judge(value: bytes) -> bool:
        if len(verdicts) >= _MEMORY:
            verdicts.clear()
        verdict = comparable(value) == mine or not _is_text(value)
        if len(value) <= _LONGEST_NAME:
            verdicts[value] = verdict
        return verdict

    def wanted(_key: bytes | None, headers: Headers) -> bool:
        addressed = False
        for name, value in headers:
            if name == HOSTNAME_HEADER:
                if value is None:
                    return True
                verdict = verdicts.get(value)
                if judge(value) if verdict is None else verdict:
                    return True
                addressed = True
        return not addressed

    return wanted


def by_key(key: str) -> Matcher:
    """Return a matcher for records with exactly this *key*: routing by zone id."""
    mine = key.encode()

    def wanted(key: bytes | None, _headers: Headers) -> bool:
        return key == mine

    return wanted


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
