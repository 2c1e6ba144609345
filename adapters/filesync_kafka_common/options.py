"""
What an operator may hand on to a driver, and what not.

An option on which a guarantee rests, or that has a setting of its own, is
refused rather than ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from attrs import frozen

from filesync import Settings
from filesync.exceptions import TransportError

__all__ = ["OptionGuard", "OptionValue", "group_of"]

OptionValue = str | int | float | bool


@frozen(kw_only=True)
class OptionGuard:
    """
    The rules for one driver.

    Attributes:
        driver: Under this name its options stand in ``kafka.options``.
        pinned: By option, the value it always has, and why.
        neutral: By option, the setting of ours that says the same.
        refused: By option, why it may not be set at all.
    """

    driver: str
    pinned: Mapping[str, tuple[OptionValue, str]]
    neutral: Mapping[str, str]
    refused: Mapping[str, str]

    @property
    def pins(self) -> dict[str, OptionValue]:
        """The options that always have the same value."""
        return {name: value for name, (value, _) in self.pinned.items()}

    def checked(self, options: Mapping[str, object]) -> dict[str, OptionValue]:
        """
        Return *options*.

        Raises:
            TransportError: One of them may not be set, or is no plain value.
        """
        taken: dict[str, OptionValue] = {}
        for name, value in options.items():
            self._check(name)
            if not isinstance(value, str | int | float):
                raise self.refusal(name, "it must be text, a number, true or false")
            taken[name] = value
        return taken

    def refusal(self, name: str, why: str) -> TransportError:
        """Return the error for: option *name* cannot be set."""
        return TransportError(
            f"kafka.options.{self.driver}: {name!r} cannot be set: {why}",
            key=f"kafka.options.{self.driver}.{name}",
        )

    def objection(self, settings: Settings, told: str) -> TransportError:
        """Return the error for: the driver refuses its configuration, and says what it *told*."""
        given = settings.kafka.options.get(self.driver, {})
        keys = {name: f"kafka.options.{self.driver}.{name}" for name in given}
        keys |= {name: f"kafka.{setting}" for name, setting in self.neutral.items()}
        named = [key for name, key in keys.items() if _names(told, name)]
        problem = f"{self.driver} refuses the settings: {told}"
        if not named:
            return TransportError(problem)
        return TransportError(f"{named[0]}: {problem}", key=named[0])

    def _check(self, name: str) -> None:
        if name in self.pinned:
            value, why = self.pinned[name]
            raise self.refusal(name, f"it is {str(value).lower()} because {why}")
        if name in self.neutral:
            raise self.refusal(name, f"use kafka.{self.neutral[name]}")
        if name in self.refused:
            raise self.refusal(name, self.refused[name])


def _names(told: str, name: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(name)}(?![\w]|\.\w)", told) is not None


def group_of(settings: Settings) -> str:
    """Return the group under which the broker is told our positions; never empty."""
    return settings.kafka.group or f"filesync-{settings.hostname}"
