"""What the benchmarks share: interleaved runs, medians, one line per result."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Sequence

__all__ = ["Result", "interleave", "report"]


class Result:
    """One number that was promised: *value* against *bound*."""

    def __init__(
        self, name: str, value: float, bound: float, *, at_least: bool, unit: str = ""
    ) -> None:
        self.name = name
        self.value = value
        self.bound = bound
        self.at_least = at_least
        self.unit = unit

    @property
    def holds(self) -> bool:
        """Whether the promise is kept."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "ok" if self.holds else "MISSED"
        promise = f"promised {sign} {self.bound:,g}"
        return f"{self.name}: {self.value:,.3f}{self.unit} ({promise}) {verdict}"


def interleave(
    runs: int, one: Callable[[], float], other: Callable[[], float]
) -> tuple[float, float, float]:
    """
    Run both *runs* times, in turn; return the medians and the median ratio of pairs.

    The machine is noisy: a pair that ran side by side is compared, not two
    times of day.
    """
    pairs = [(one(), other()) for _ in range(runs)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
        statistics.median(pair[0] / pair[1] for pair in pairs),
    )


def report(results: Sequence[Result]) -> int:
    """Print *results*; return the exit status: 1 when a promise is missed."""
    for result in results:
        print(result)
    print(json.dumps({result.name: result.value for result in results}))
    sys.stdout.flush()
    return 0 if all(result.holds for result in results) else 1
