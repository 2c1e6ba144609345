"""
Hears from the driver's log that connections failed, and what that means.

Theory. The driver never raises it: it tries again, for ever, and tells nobody
but its log. The exceptions themselves are in the arguments of what it logs, so
an `Ear` on its logger hears them; of which client they are tells the name of
the thread that logs. What a broker says together with its goodbye the driver
throws away: a wrong password is mostly heard as a connection that was closed.
So connections that are closed again and again are told with what is likely.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from filesync import Settings
from filesync_kafka_common.causes import closed
from filesync_kafka_common.weather import Weather
from filesync_kafka_python._causes import is_denial, is_goodbye, suspicion

__all__ = ["Ear", "Gossip"]

#: Problems that are remembered until somebody looks.
_REMEMBERED = 100

#: Connections closed without a word after which that is a problem by itself.
_GOODBYES = 3


class Ear(logging.Handler):
    """
    Hears which connections of some clients failed.

    Args:
        heard: Is told each problem, by the driver's own thread.
    """

    _LOGGER = logging.getLogger("kafka")

    def __init__(self, heard: Callable[[BaseException], None]) -> None:
        super().__init__(logging.WARNING)
        self._heard = heard
        self._threads: frozenset[str] = frozenset()

    def open(self, *clients: Any) -> None:
        """Listen to the clients with these ids."""
        self._threads = frozenset(f"kafka-io-{client}" for client in clients)
        self._LOGGER.addHandler(self)

    def close(self) -> None:
        """Listen no longer."""
        self._LOGGER.removeHandler(self)
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Look for a problem in what was logged."""
        if threading.current_thread().name not in self._threads:
            return
        arguments = record.args if isinstance(record.args, tuple) else ()
        problems = [each for each in arguments if isinstance(each, BaseException)]
        if record.exc_info is not None and record.exc_info[1] is not None:
            problems.append(record.exc_info[1])
        for problem in problems:
            self._heard(problem)


class Gossip:
    """
    Tells *weather* what is heard.

    Args:
        settings: How the brokers are connected.
        weather: Judges.

    Attributes:
        denied: Whether a broker did not let us in, since the weather was fair.
    """

    def __init__(self, settings: Settings, weather: Weather) -> None:
        self._protocol = settings.kafka.security_protocol
        self._servers = ", ".join(settings.kafka.servers)
        self._weather = weather
        self._problems: deque[BaseException] = deque(maxlen=_REMEMBERED)
        self._ear = Ear(self._problems.append)
        self._last: BaseException | None = None
        self._goodbyes = 0
        self._named = False
        self.denied = False

    def listen(self, *clients: str) -> None:
        """Listen to the clients with these ids, and to no others."""
        self._ear.open(*clients)

    def close(self) -> None:
        """Listen no longer."""
        self._ear.close()

    def forget(self) -> None:
        """Note that there are new clients: what the old ones met means nothing."""
        self._goodbyes, self.denied = 0, False

    def heed(self) -> bool:
        """Heed what was heard since the last call; return whether that was anything."""
        if self._weather.fair:
            self._goodbyes, self.denied, self._named = 0, False, False
        heard = False
        while self._problems:
            problem = self._problems.popleft()
            if problem is not self._last:  # It is logged wherever it passes.
                self._last, heard = problem, True
                self._heed(problem)
        return heard

    def _heed(self, problem: BaseException) -> None:
        why = suspicion(problem, self._servers, encrypted=self._protocol.encrypted)
        denied = is_denial(problem)
        self._named = self._named or denied
        if is_goodbye(problem):
            self._goodbyes += 1
            # Once may be a broker that ends, or an idle connection; and who
            # was told the reason one time in three needs no guess.
            if why is None and self._goodbyes >= _GOODBYES and not self._named:
                denied = self._protocol.authenticated
                why = closed(self._servers, authenticated=denied)
        self.denied = self.denied or denied
        self._weather.connection_failed(why)
        if denied and not self._weather.fair:
            # All brokers know the same users: no other one would let us in.
            self._weather.all_failed()
