"""Drive the engine by a loop of one's own: ``python embed_engine.py < settings.yaml``."""

# ruff: noqa: INP001, TID251 - not a module of filesync, so it may act.

import sys
from collections.abc import Callable
from socket import gethostname

from filesync import Engine, Outcome, Settings, read_settings
from filesync.runtime import World, open_command_daemon
from filesync.transport import Transport, open_transport


def main(settings: Settings, transport: Transport, tell: Callable[[Outcome], None]) -> None:
    """Receive what is in the log now, let the daemon read it, and return."""
    daemon = open_command_daemon(settings.daemon.options, files_dir=settings.kafka.files_dir)
    engine = Engine(settings, finish_when_caught_up=True)
    world = World(settings, transport, daemon, wanted=engine.wanted, tell=tell)
    try:
        while not world.finished:  # Other work of this loop fits in here.
            for event in world.wait():
                for effect in engine.handle(event):
                    world.carry_out(effect)
    finally:
        world.close(timeout=10)


if __name__ == "__main__":
    settings = read_settings(sys.stdin.read(), source="stdin", default_hostname=gethostname())
    main(settings, open_transport(settings.driver, settings), print)
