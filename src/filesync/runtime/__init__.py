"""The part of filesync that acts: threads, files, the clock, child processes."""

from __future__ import annotations

from filesync.runtime._command import CommandDaemon, open_command_daemon
from filesync.runtime._publisher import FileToSend, Publisher
from filesync.runtime._receiver import Receiver
from filesync.runtime._world import World

__all__ = [
    "CommandDaemon",
    "FileToSend",
    "Publisher",
    "Receiver",
    "World",
    "open_command_daemon",
]
