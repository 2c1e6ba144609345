"""
One closing line for many test runs: ``python reports.py DIRECTORY``.

Reads the JUnit file that each run left in DIRECTORY, named after its tox
environment. Ends with ``N passed, N failed``, and with status 1 if a test
failed, if none passed, or if one was skipped that had no right to be: an
environment may skip what it does not promise, a driver only where its name says
so, and those with real parts may skip nothing at all.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

__all__ = ["main", "summarize"]

#: How the reason of a skip begins where an environment does not promise a transport.
_NOT_PROMISED = "this environment does not promise"
_COLLECTION = "collection skipped"
_REASON = re.compile(r"^\(.*?, 'Skipped: ", re.DOTALL)
_PROMISES_ALL = frozenset({"daemon", "docs", "kafka", "wheel"})
#: What an environment may lack only if its name begins in one of these ways.
_LACKING = {
    re.compile(r"confluent-kafka|kafka-python"): ("none", "confluent", "kafkapython"),
    re.compile(r"librdkafka is too old"): ("oldest",),
}


def summarize(reports: Mapping[str, str]) -> tuple[str, bool]:
    """
    Return what to print about *reports*, and whether all is well.

    Args:
        reports: The JUnit text of each environment.
    """
    lines = [f"{'environment':<12} {'passed':>7} {'failed':>7} {'skipped':>7}"]
    total: Counter[str] = Counter()
    wrongly_skipped = []
    for environment, text in sorted(reports.items()):
        tests: Counter[str] = Counter()
        for test in ET.fromstring(text).iter("testcase"):
            skip = test.find("skipped")
            if test.find("failure") is not None or test.find("error") is not None:
                tests["failed"] += 1
            elif skip is None:
                tests["passed"] += 1
            else:
                tests["skipped"] += 1
                reason = skip.get("message", "")
                if reason == _COLLECTION:  # A whole module: pytest gives the reason as a tuple.
                    reason = _REASON.sub("", skip.text or "")
                if not _may_skip(environment, reason):
                    wrongly_skipped.append(f"  {environment}: {test.get('name')}: {reason}")
        total += tests
        lines.append(
            f"{environment:<12} {tests['passed']:>7} {tests['failed']:>7} {tests['skipped']:>7}"
        )
    if wrongly_skipped:
        lines += ["skipped, and had no right to be:", *wrongly_skipped]
    lines += [f"{total['passed']} passed, {total['failed']} failed"]
    return "\n".join(lines), total["passed"] > 0 == total["failed"] and not wrongly_skipped


def _may_skip(environment: str, reason: str) -> bool:
    if environment in _PROMISES_ALL or not reason.startswith(_NOT_PROMISED):
        return False
    return all(
        environment.startswith(names) or not what.search(reason) for what, names in _LACKING.items()
    )


def main(directory: str) -> int:
    """Print the summary of the reports in *directory*; return the exit status."""
    reports = {
        path.stem: path.read_text(encoding="utf-8") for path in Path(directory).glob("*.xml")
    }
    summary, is_well = summarize(reports)
    sys.stdout.write(f"{summary}\n")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
