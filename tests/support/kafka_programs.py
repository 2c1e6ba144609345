"""The programs that a broker needs, and what is said when one is missing or fails."""

from __future__ import annotations

import shutil
import subprocess

__all__ = ["BrokerError", "find", "run", "tail"]

#: The Debian package that brings a program.
_PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven", "openssl": "openssl"}


class BrokerError(Exception):
    """The broker cannot be had; the message says what to do or to read."""


def find(name: str) -> str:
    """Return the path of a program, or say which package has it."""
    if path := shutil.which(name):
        return path
    raise BrokerError(f"{name} is missing: on Debian, apt-get install {_PACKAGES[name]}")


def run(program: str, *arguments: str) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [find(program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        called = " ".join([program, *arguments])
        said = tail(done.stdout + done.stderr)
        raise BrokerError(f"{called}: exit status {done.returncode}\n{said}")
    return done.stdout


def tail(text: str) -> str:
    """Return the end of what a program said."""
    return "\n".join(text.splitlines()[-30:])
