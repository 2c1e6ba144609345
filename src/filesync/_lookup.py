"""Finds the installed adapter that does something with a driver."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from filesync._wording import shown, suggestion
from filesync.exceptions import DriverMissingError, TransportError

__all__ = ["load_adapter", "not_installed"]


def load_adapter(what: str, driver: str | None) -> Any:
    """
    Return what an installed package names as *driver* in the group of *what*.

    Args:
        what: ``transport`` or ``producer``; the entry point group is
            ``filesync.transports`` or ``filesync.producers``.
        driver: Name of the entry point; None takes the first, by name, whose
            driver is installed.

    Raises:
        DriverMissingError: The driver is not installed; the message gives the
            pip command.
        TransportError: No adapter has that name.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - drags in socket

    found = {point.name: point for point in entry_points(group=f"filesync.{what}s")}
    if driver is not None and driver not in found:
        noun = "driver" if what == "transport" else f"{what}'s driver"
        raise TransportError(
            f"filesync.driver: {not_installed(noun, driver, found)}", key="filesync.driver"
        )
    missing: list[tuple[str, ModuleNotFoundError]] = []
    for name in [driver] if driver is not None else sorted(found):
        point = found[name]
        try:
            return point.load()
        except ModuleNotFoundError as exc:
            if exc.name is None or exc.name.partition(".")[0] == point.module.partition(".")[0]:
                raise
            missing.append((name, exc))
    if not missing:
        raise DriverMissingError(
            f"no {what} is installed: pip install 'kafka-filesync[confluent-kafka]'"
        )
    name, cause = missing[0]
    raise DriverMissingError(
        f"{name!r} needs the Python package {cause.name!r}: pip install 'kafka-filesync[{name}]'"
    ) from cause


def not_installed(noun: str, name: str, found: Collection[str]) -> str:
    """Return the complaint that no *noun* has that *name*, and which are *found*."""
    complaint = f"no {noun} is called {shown(name)}"
    installed = f"installed: {', '.join(sorted(found)) or 'none'}"
    hint = suggestion(name, found)
    return f"{complaint}; {hint} {installed}" if hint else f"{complaint}; {installed}"
