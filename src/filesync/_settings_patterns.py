r"""
What settings look like, as regular expressions for the schema of the settings file.

Theory. They say again what the checks and the reader say in Python, so that an
editor can say it; the tests hold them against each other. They mean the same to
Python and to ECMAScript, with its flag u and without: so no ``\d``, ``\w`` and
``\s``, no flags, and no escapes that are not needed. None is anchored.

Source: docs/reference/settings.md, "How it is read".
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from filesync import _setting_checks as check
from filesync import _setting_forms as form

__all__ = [
    "ACCOUNT",
    "ARGUMENT",
    "DIRECTORY",
    "FLAG",
    "GLOB",
    "HOSTNAME",
    "LONGEST",
    "MODE",
    "NO_NUL",
    "PATH",
    "PROGRAM",
    "SERVER",
    "TEXT",
    "TOPIC",
    "any_case",
    "count",
    "duration",
    "size",
]

# Text

#: Inside brackets, what no text may hold: control characters, U+2028, U+2029.
_CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
_SPACE = r" \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_LABEL = "[!-,/-~-]+"

TEXT = f"[^{_CONTROL}]+"
PATH = f"/[^{_CONTROL}]*"
DIRECTORY = rf"(?:/(?!\.{{1,2}}(?:/|$))[^/{_CONTROL}]+)+/*"
TOPIC = r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,249}"
HOSTNAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"
GLOB = f"(?!/){TEXT}"
ACCOUNT = f"[^:/{_SPACE}{_CONTROL}]+"
NO_NUL = r"[^\u0000]*"

#: To YAML 1.2 these are text; to PyYAML's 1.1 they are booleans, as true and false are to both.
FLAG = "yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF"


def any_case(pattern: str) -> str:
    """Return *pattern* for letters in any case; it has no other letters."""
    return re.sub("[A-Za-z]", lambda letter: f"[{letter[0].upper()}{letter[0].lower()}]", pattern)


# Numbers

#: The largest size that is written without a unit.
LONGEST = 10**form.MOST_DIGITS - 1

_NOT_LONG = rf"(?![0-9.]*[0-9]{{{form.MOST_DIGITS + 1}}})"
_NOT_ZERO = "(?=[^1-9]*[1-9])"

MODE = "0o?0{0,3}[0-7]{2}[0145]"


def _at_most(high: int) -> str:
    """Return a pattern for the decimal numbers from 0 to *high*, after any zeros."""
    digits = str(high)
    last = len(digits) - 1
    choices = [f"[0-9]{{1,{last}}}"] if last else []
    for at, digit in enumerate(digits):
        below, rest = int(digit) - (at < last), last - at
        if below >= 0:
            choices.append(f"{digits[:at]}[0-{below}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return f"0*(?:{'|'.join(choices)})"


def duration(*, zero: bool, long: bool = False) -> str:
    """Return a pattern for durations; *zero* may be one, a *long* one has any number of digits."""
    choices = []
    for unit, each in form.SECONDS.items():
        most = round(check.MAX_SECONDS / each)
        choices += [
            rf"{_at_most(most - 1)}(?:\.[0-9]+)? ?{unit}",
            # What is above the longest by less than this is lost when it is rounded.
            rf"0*{most}(?:\.(?:0{{1,6}}|0{{7}}[0-9]*))? ?{unit}",
        ]
    start = ("" if long else _NOT_LONG) + ("" if zero else _NOT_ZERO)
    return f"{start}(?:{'|'.join(choices)})"


def size(low: int, high: int) -> str:
    """Return a pattern for sizes; *low* is 0 or 1."""
    choices = []
    for unit, each in form.BYTES.items():
        most = high // each
        if most >= low:
            choices.append(f"{_at_most(most) if most < LONGEST else '[0-9]+'} ?{unit}")
    return _NOT_LONG + _NOT_ZERO * low + f"(?:{'|'.join(choices)})"


def count(low: int, high: int) -> str:
    """Return a pattern for counts; *low* is 0 or 1, *high* below 1000 or of 19 digits."""
    plain = f"(?!0[0-9]){_at_most(high)}"
    grouped = "[1-9][0-9]{0,2}(?:_[0-9]{3}){1,5}"
    return _NOT_ZERO * low + (f"(?:{plain}|{grouped})" if high >= 1000 else plain)


# Servers

_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PORT = f"(?!0){_at_most(65535)}"
_NAME = "[0-9A-Za-z_](?:[0-9A-Za-z_-]{0,61}[0-9A-Za-z_])?"
_HOST = (
    rf"(?:(?:{_BYTE}\.){{3}}{_BYTE}"
    rf"|(?![^@:]{{254}})(?:{_NAME}\.)*(?![0-9]+\.?(?:[@:]|$)){_NAME}\.?)"
)
#: Whether the groups are eight, say, is left to the reader.
_IPV6 = "(?=[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]+(?:%[0-9A-Za-z._-]+)?"

SERVER = rf"{_HOST}(?:[@:]{_PORT})?|\[{_IPV6}\](?:[@:]{_PORT})?|{_IPV6}@{_PORT}"


# Programs


def _argument(placeholders: Iterable[str]) -> str:
    """Return a pattern for one character, or for what stands in braces."""
    return rf"(?:[^{{\u0000]|\{{(?:{'|'.join(placeholders)})\}}|\{{(?![A-Za-z][A-Za-z0-9_-]*\}}))"


PROGRAM = f"{_argument(['dir'])}+"
ARGUMENT = f"{_argument(['path', 'name', 'dir'])}*"
