"""Run every benchmark: ``python benchmarks``; the exit status is 1 when a promise is missed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    statuses = []
    for script in sorted(Path(__file__).parent.glob("bench_*.py")):
        print(f"== {script.name}", flush=True)
        statuses.append(subprocess.run([sys.executable, str(script)], check=False).returncode)
    sys.exit(max(statuses))
