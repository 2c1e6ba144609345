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
"""

from __future__ import annotations

from filesync.runtime._contract._partitions import PartitionsPart
from filesync.runtime._contract._positions import PositionsPart
from filesync.runtime._contract._reader import Log, OpenTransport, Reader
from filesync.runtime._contract._records import RecordsPart
from filesync.runtime._contract._waiting import WaitingPart

__all__ = ["Log", "OpenTransport", "Reader", "TransportContract"]


class TransportContract(PartitionsPart, PositionsPart, RecordsPart, WaitingPart):
    """
    Subclass it, and give it the fixtures ``log`` and ``open_transport``.

    Attributes:
        patience: Seconds to wait for what must come.
    """
