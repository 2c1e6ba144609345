"""Unbound's zone files: a command makes it read them, and the serials that it lists are proof."""

import re
from collections.abc import Mapping, Sequence
from subprocess import SubprocessError, check_output
from typing import Any

from filesync import ChangedFile, daemon
from filesync.runtime import open_command_daemon


class UnboundZones:
    """The daemon `command`, with the same options, but a renew is proven: see `daemon.Daemon`."""

    def __init__(self, options: Mapping[str, Any], *, files_dir: str) -> None:
        self._command = open_command_daemon(options, files_dir=files_dir)
        self.check, self.reload = self._command.check, self._command.reload
        self.stop = self._command.stop

    def renew(self, changed: Sequence[ChangedFile], timeout: float) -> daemon.ActionResult:
        try:
            before, result = self._listed(), self._command.renew(changed, timeout)
            if not changed or not isinstance(result, daemon.Assumed):
                return result
            wanted, after = {self._line(file) for file in changed}, self._listed()
        except (OSError, SubprocessError) as exc:
            return daemon.Unreachable(f"Unbound does not tell its serials: {exc}")
        if not wanted <= after:
            return daemon.Unknown(f"Unbound does not list {', '.join(sorted(wanted - after))}")
        return result if wanted & before else daemon.Served(f"lists {', '.join(sorted(wanted))}")

    def _listed(self) -> set[str]:
        output = check_output(["unbound-control", "list_auth_zones"], text=True, timeout=5)
        return set(output.replace("\t", " ").splitlines())

    def _line(self, file: ChangedFile) -> str:
        with open(file.path, encoding="latin-1") as zone:
            head = zone.read(16384)
        soa = re.search(r"(?i)\sSOA\s+[^\s;(]+\s+[^\s;(]+(?:[\s(]|;.*\n)+(\d+)", head)
        return f"{file.name}. serial {soa[1] if soa else '?'}"
