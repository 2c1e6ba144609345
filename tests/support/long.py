"""
The tests that look for counterexamples by chance, for long.

    python tests/support/long.py [what pytest takes]

The seed is printed; FILESYNC_SEED repeats it. FILESYNC_EXAMPLES is how many
examples each property and each machine gets, FILESYNC_HISTORIES how many whole
histories of the engine are played.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys

#: About twenty minutes on two cores.
EXAMPLES = 2_000
HISTORIES = 30_000

_LARGEST_SEED = 2**31


def main(words: list[str]) -> int:
    """Run them; return pytest's exit status."""
    seed = int(os.environ.get("FILESYNC_SEED", random.randrange(_LARGEST_SEED)))
    sys.stdout.write(f"seed {seed}: to repeat it, FILESYNC_SEED={seed} tox run -e long\n")
    sys.stdout.flush()
    environment = {
        "FILESYNC_EXAMPLES": str(EXAMPLES),
        "FILESYNC_HISTORIES": str(HISTORIES),
        **os.environ,
        "FILESYNC_SEED": str(seed),
        "HYPOTHESIS_PROFILE": "long",
    }
    command = [sys.executable, "-m", "pytest", f"--hypothesis-seed={seed}", *words]
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
