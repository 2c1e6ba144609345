"""
Brokers without topic ids, such as the mock cluster as it comes, are asked in another way.

Slower than the contract, so that few of its tests have to do.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import pytest

from filesync.testing import OpenTransport, TransportContract
from filesync.transport import Transport
from support.promises import is_promised

if TYPE_CHECKING:
    from support.embedded import EmbeddedLog

pytestmark = pytest.mark.skipif(
    not is_promised("confluent-kafka", "confluent_kafka"),
    reason="this environment does not promise confluent-kafka",
)


class TestWithoutTopicIds:
    """What works without them."""

    contract = TransportContract()

    @pytest.fixture(name="open_transport")
    def _open_transport(
        self, plain_broker: EmbeddedLog, open_on: Callable[[EmbeddedLog, str], Transport]
    ) -> OpenTransport:
        return partial(open_on, plain_broker)

    def test_a_topic_that_is_created_later_is_found(
        self, plain_broker: EmbeddedLog, open_transport: OpenTransport
    ) -> None:
        """Asking that way creates none either."""
        self.contract.test_a_topic_that_is_created_later_is_found(plain_broker, open_transport)

    def test_a_partition_that_is_added_is_found(
        self, plain_broker: EmbeddedLog, open_transport: OpenTransport
    ) -> None:
        """Those that were there are not told again."""
        self.contract.test_a_partition_that_is_added_is_found(plain_broker, open_transport)

    def test_a_topic_that_is_deleted_is_lost(
        self, plain_broker: EmbeddedLog, open_transport: OpenTransport
    ) -> None:
        """As where there are ids."""
        self.contract.test_a_topic_that_is_deleted_is_lost(plain_broker, open_transport)

    def test_a_broker_that_is_down_at_start_is_waited_for(
        self, plain_broker: EmbeddedLog, open_transport: OpenTransport
    ) -> None:
        """The other way of asking is not forgotten while nobody answers."""
        self.contract.test_a_broker_that_is_down_at_start_is_waited_for(
            plain_broker, open_transport
        )
