"""
What every transport promises, as tests that its author runs.

A third party subclasses `TransportContract` in a test file, and gives it two
pytest fixtures: ``log``, a broker to steer, and ``open_transport``, which
opens the transport under test on a topic of that broker and closes it at the
end. Where the transport looks for new topics and partitions now and then, it
should be opened so that it looks about every second.

::

    class TestMyTransport(TransportContract):
        @pytest.fixture
        def log(self) -> Iterator[Log]: …

        @pytest.fixture
        def open_transport(self, log: Log) -> Iterator[OpenTransport]: …

What the log cannot do it says itself: see `Log`.
"""

from __future__ import annotations

from filesync.runtime._contract._lifecycle import LifecyclePart
from filesync.runtime._contract._log import Log
from filesync.runtime._contract._matching import MatchingPart
from filesync.runtime._contract._offsets import OffsetsPart
from filesync.runtime._contract._partitions import PartitionsPart
from filesync.runtime._contract._positions import PositionsPart
from filesync.runtime._contract._ranges import RangesPart
from filesync.runtime._contract._reader import OpenTransport, Reader
from filesync.runtime._contract._records import RecordsPart
from filesync.runtime._contract._recreated import RecreatedPart
from filesync.runtime._contract._undecodable import UndecodablePart
from filesync.runtime._contract._waiting import WaitingPart
from filesync.runtime._contract._weather import WeatherPart

__all__ = ["Log", "OpenTransport", "Reader", "TransportContract"]


class TransportContract(
    RecordsPart,
    UndecodablePart,
    MatchingPart,
    PositionsPart,
    RangesPart,
    PartitionsPart,
    RecreatedPart,
    OffsetsPart,
    WaitingPart,
    WeatherPart,
    LifecyclePart,
):
    """
    Subclass it, and give it the fixtures ``log`` and ``open_transport``.

    Attributes:
        patience: Seconds to wait for what must come.
        outages: How often the broker goes and comes where that is all a test
            is about.
    """
