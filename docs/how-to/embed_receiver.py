"""Receive files inside an asyncio program: ``python embed_receiver.py < settings.yaml``."""

# ruff: noqa: INP001, TID251 - not a module of filesync, so it may act.

import asyncio
import sys
from collections.abc import Callable
from socket import gethostname

from filesync import Outcome, Settings, read_settings
from filesync.runtime import Receiver
from filesync.transport import Transport, open_transport


async def main(settings: Settings, transport: Transport, tell: Callable[[Outcome], None]) -> None:
    """Receive until cancelled; *tell* is called in this loop, once for every outcome."""
    loop = asyncio.get_running_loop()

    def tell_loop(outcome: Outcome) -> None:
        loop.call_soon_threadsafe(tell, outcome)

    receiver = Receiver(settings, transport=transport, tell=tell_loop)
    receiver.start()
    try:
        await asyncio.to_thread(receiver.wait)  # Raises if the transport fails for good.
    finally:
        await asyncio.to_thread(receiver.stop)


if __name__ == "__main__":
    settings = read_settings(sys.stdin.read(), source="stdin", default_hostname=gethostname())
    asyncio.run(main(settings, open_transport(settings.driver, settings), print))
