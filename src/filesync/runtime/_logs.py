"""
Log records as one line each, in the form of logfmt: ``key=value key="two words"``.

Only `filesync.__main__` uses it: a program that embeds filesync has its own
ideas about logs, and finds the outcome itself in the record's ``filesync``
attribute.
"""

from __future__ import annotations

import json
import logging
import sys
import time

__all__ = ["LogfmtFormatter", "configure_logging"]

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:@[]+,")


class LogfmtFormatter(logging.Formatter):
    """``time=… level=… event=… file=… msg=…``; time is UTC."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{seconds}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        outcome = getattr(record, "filesync", None)
        if outcome is not None:
            del fields["logger"]
            fields["event"] = outcome.label
            for key, attribute in (("file", "name"), ("from", "origin"), ("bytes", "size")):
                value = getattr(outcome, attribute, None)
                if value is not None:
                    fields[key] = str(value)
        fields["msg"] = str(outcome) if outcome is not None else record.getMessage()
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def configure_logging(level: str) -> None:
    """
    Write the records of filesync, from *level* on, to standard error.

    At ``debug`` those of other libraries too. Otherwise not: a driver logs
    each of its attempts, and what they mean is told once, by an outcome.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    if level.upper() != "DEBUG":
        handler.addFilter(logging.Filter("filesync"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _quoted(value: str) -> str:
    if value and _PLAIN.issuperset(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)
