"""
What a single setting may be: validators, and the forms that are made the same.

A validator knows no setting by name: it gets the attribute that it checks,
and names it in the `SettingValueError`. What two settings must be to each
other is written where they are, in `filesync._settings`.

Source: docs/reference/settings.md.
"""

from __future__ import annotations

import enum
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import Attribute

from filesync._values import frozen
from filesync._wording import one_of, shown
from filesync.exceptions import SettingValueError

__all__ = [
    "DEFAULT_PORT",
    "LOG_LEVELS",
    "MAX_SECONDS",
    "SASL_MECHANISMS",
    "SENSITIVE",
    "Seconds",
    "Whole",
    "account",
    "directory",
    "hostname",
    "level",
    "mechanism",
    "member",
    "mode",
    "option_problem",
    "options",
    "path",
    "pattern",
    "rules",
    "server_address",
    "server_addresses",
    "text",
    "topic",
    "upper",
    "without_dot",
    "without_slash",
]

#: Where a server is given without a port.
DEFAULT_PORT = 9092

#: How much is told, least important first.
LOG_LEVELS = ("debug", "info", "warning", "error")

#: No duration is longer: one week. Poll time-outs are 32-bit milliseconds, 24 days.
MAX_SECONDS = 604_800.0

#: Both drivers know these.
SASL_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

#: Sizes and counts fit into 64 bits.
_MAX_WHOLE = 2**63 - 1


_Check = Callable[[Any, "Attribute[Any]", Any], None]

#: Control characters, and separators that look like an end of line in a log.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def _checked(problem_of: Callable[[Any], str | None]) -> _Check:
    """Return a validator that refuses what *problem_of* names a problem of."""

    def check(_: object, attribute: Attribute[Any], value: Any) -> None:
        problem = problem_of(value)
        if problem is not None:
            raise SettingValueError(problem, attribute.name)

    return check


def _text_problem(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return "must be text, and not empty"
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in value):
        return f"must not contain control characters; not {shown(value)}"
    return None


def _path_problem(value: Any) -> str | None:
    problem = _text_problem(value)
    if problem is None and not value.startswith("/"):
        return f"must be an absolute path, one that starts with /; not {shown(value)}"
    return problem


def _directory_problem(value: Any) -> str | None:
    problem = _path_problem(value)
    if problem is None and not {"", ".", ".."}.isdisjoint(value.split("/")[1:]):
        return (
            "must be an absolute path below /, without empty parts and parts . or ..; "
            f"not {shown(value)}"
        )
    return problem


def _topic_problem(value: Any) -> str | None:
    problem = _text_problem(value)
    if problem is None and (
        value in {".", ".."} or not re.fullmatch(r"[\w.-]{1,249}", value, re.ASCII)
    ):
        return (
            "must be a Kafka topic: 1 to 249 of the characters A-Z a-z 0-9 . _ -; "
            f"not {shown(value)}"
        )
    return problem


def hostname_problem(value: Any) -> str | None:
    """Say why *value* is no host name; None: it is one."""
    if (
        isinstance(value, str)
        and all("!" <= character <= "~" for character in value)
        and "" not in value.split(".")
    ):
        return None
    return (
        "must be a host name: printable ASCII without spaces and empty labels; "
        f"not {shown(str(value))}"
    )


def _pattern_problem(value: Any) -> str | None:
    problem = _text_problem(value)
    if problem is None and value.startswith("/"):
        return (
            "must be a pattern for names relative to files-dir, such as *.rpz or zones/*; "
            f"not {shown(value)}"
        )
    return problem


def _account_problem(value: Any) -> str | None:
    problem = _text_problem(value)
    if problem is None and not re.fullmatch(r"[^\s:/]+", value):
        return f"must be a name without spaces, : and /; not {shown(value)}"
    return problem


def _mechanism_problem(value: Any) -> str | None:
    return None if value in SASL_MECHANISMS else one_of(SASL_MECHANISMS, str(value))


def _mode_problem(value: Any) -> str | None:
    if type(value) is not int or not 0 <= value <= 0o777:
        return "must be permission bits from 0000 to 0777, such as 0640"
    if value & 0o002:
        return f"must not let everybody write: 0640, say, in place of {value:04o}"
    return None


def _level_problem(value: Any) -> str | None:
    return None if value in LOG_LEVELS else one_of(LOG_LEVELS, str(value))


def _rules_problem(value: Any) -> str | None:
    if not value:
        return "must have a rule: an empty list refuses every file; for the default leave it out"
    return None


text = _checked(_text_problem)
path = _checked(_path_problem)
directory = _checked(_directory_problem)
topic = _checked(_topic_problem)
hostname = _checked(hostname_problem)
pattern = _checked(_pattern_problem)
account = _checked(_account_problem)
mechanism = _checked(_mechanism_problem)
mode = _checked(_mode_problem)
level = _checked(_level_problem)
rules = _checked(_rules_problem)


def member(kind: type[enum.Enum]) -> _Check:
    words = f"must be a {kind.__name__}: {', '.join(kind.__members__)}"
    return _checked(lambda value: None if isinstance(value, kind) else words)


@frozen(kw_only=True)
class Seconds:
    """A validator for durations: finite, above 0 or, with *zero*, from 0; at most a week."""

    zero: bool = False

    def __call__(self, _: object, attribute: Attribute[Any], value: Any) -> None:
        fits = type(value) in {int, float} and (
            0 < value <= MAX_SECONDS or (self.zero and value == 0)
        )
        if not fits:
            least = "at least 0" if self.zero else "more than 0"
            raise SettingValueError(
                f"must be {least} and at most {MAX_SECONDS:.0f} seconds (one week); not {value}",
                attribute.name,
            )


@frozen(kw_only=True)
class Whole:
    """A validator for whole numbers from *low* to *high*."""

    low: int = 1
    high: int = _MAX_WHOLE

    def __call__(self, _: object, attribute: Attribute[Any], value: Any) -> None:
        if type(value) is not int or not self.low <= value <= self.high:
            problem = f"must be a whole number from {self.low} to {self.high}"
            raise SettingValueError(problem, attribute.name)


_BRACKETED = re.compile(r"\[(?P<host>[^\]]*)\](?:[:@](?P<port>.*))?", re.DOTALL)
_IPV6 = re.compile(r"[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]+)?")
_LABEL = r"[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")


def server_address(text: str) -> str:
    """
    Return a server as ``host:port`` or ``[IPv6 address]:port``.

    Args:
        text: ``host``, ``host@port``, ``host:port``, ``[v6]``, ``[v6]:port``,
            ``[v6]@port`` or ``v6@port``; the port is from 1 to 65535 and
            `DEFAULT_PORT` where there is none.

    Raises:
        ValueError: It is none of these.
    """
    bracketed = _BRACKETED.fullmatch(text)
    if bracketed is not None:
        host, port = bracketed["host"], bracketed["port"]
    elif "@" in text:
        host, _, port = text.rpartition("@")
    else:
        host, colon, rest = text.partition(":")
        port = rest if colon else None
    port = str(DEFAULT_PORT) if port is None else port
    six = bracketed is not None or ":" in host
    if not (_is_ipv6(host) if six else _is_host(host)) or not _is_port(port):
        raise ValueError(
            "must be host, host@port, host:port or [IPv6 address]:port, "
            f"the port from 1 to 65535; not {shown(text)}"
        )
    return f"[{host}]:{port}" if six else f"{host}:{port}"


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and int(text) <= 65535


def _is_ipv6(text: str) -> bool:
    import ipaddress  # noqa: PLC0415 - only who has an address waits for it.

    return _IPV6.fullmatch(text) is not None and _parses(ipaddress.IPv6Address, text)


def _is_host(text: str) -> bool:
    if len(text) > 253 or _NAME.fullmatch(text) is None:
        return False
    looks_like_ipv4 = text.rstrip(".").rpartition(".")[2].isdigit()
    import ipaddress  # noqa: PLC0415 - only who has an address waits for it.

    return not looks_like_ipv4 or _parses(ipaddress.IPv4Address, text)


def _parses(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True


def server_addresses(value: str | Iterable[str]) -> tuple[str, ...]:
    try:
        servers = tuple(map(server_address, [value] if isinstance(value, str) else value))
    except ValueError as error:
        raise SettingValueError(str(error), "servers") from error
    if not servers:
        raise SettingValueError("must name a server", "servers")
    return servers


#: In names of driver options that hold a secret, whichever the driver and in any case.
SENSITIVE = re.compile(r"password|passphrase|secret|key\.pem$", re.IGNORECASE)


def option_problem(name: str, value: object) -> str | None:
    """Return what is wrong with a driver's option *name*, or None."""
    if SENSITIVE.search(name):
        return (
            f"{shown(name)} holds a secret, and settings never do: "
            "use sasl-password-file, key-file or key-password-file"
        )
    if not isinstance(value, str | int | float):
        return f"{shown(name)} must be text, a number, true or false"
    return None


def _options_problem(value: Mapping[str, Mapping[str, object]]) -> str | None:
    problems = (
        option_problem(name, option)
        for options_of_driver in value.values()
        for name, option in options_of_driver.items()
    )
    return next(filter(None, problems), None)


options = _checked(_options_problem)


def without_slash(path: Any) -> Any:
    return path.rstrip("/") or path if isinstance(path, str) else path


def without_dot(hostname: Any) -> Any:
    return hostname.removesuffix(".") if isinstance(hostname, str) else hostname


def upper(word: Any) -> Any:
    # Beyond ASCII there are letters, a dotless i say, whose capital is one of ASCII's.
    return word.upper() if isinstance(word, str) and word.isascii() else word
