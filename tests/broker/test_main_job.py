"""From a record in a real Kafka to a reloaded daemon, with filesync as its own process."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable

import pytest

from support.host import Host
from support.kafka import KafkaBroker

pytestmark = pytest.mark.kafka

Send = Callable[..., None]

LIST_BYTES = 100_000_000
CONFIG = b"# \xc3\xa9t\xc3\xa9\nworkers: 2\nrpz: [block.rpz]\n"
OLD = b"the bytes before\n"

_HEADERS = ("files-name", "file-name")
_ORDERS = ("in-order", "reversed", "shuffled")


def _commit_time(host: Host, name: str) -> float:
    return (host.files_dir / name).stat().st_ctime


#: Every header and order with one driver; each of them once with the other.
_VARIANTS = [
    *[("confluent-kafka", header, order) for header in _HEADERS for order in _ORDERS],
    ("kafka-python", "files-name", "in-order"),
    ("kafka-python", "file-name", "reversed"),
    ("kafka-python", "file-name", "shuffled"),
]


@pytest.mark.parametrize(("driver", "header", "order"), _VARIANTS, indirect=["driver"])
def test_a_block_list_and_a_configuration_end_in_one_reload(
    host: Host, send: Send, header: str, order: str
) -> None:
    """100 MB in 512 KiB chunks, then a configuration: byte-equal, backed up, checked, reloaded."""
    block_list = random.Random(order).randbytes(LIST_BYTES)
    for name in ("block.rpz", "resolver.yaml"):
        (host.files_dir / name).write_bytes(OLD)
    host.start()
    host.wait_until_ready()
    send({"block.rpz": block_list, "resolver.yaml": CONFIG}, "--header", header, "--order", order)
    host.wait_for("reload_assumed")
    assert host.stop() == 0

    assert host.holds("block.rpz", block_list)
    assert host.holds("resolver.yaml", CONFIG)
    assert host.holds("block.rpz.backup", OLD)
    assert host.holds("resolver.yaml.backup", OLD)
    checks = host.calls("check")
    assert [check["sha256"] for check in checks] == [hashlib.sha256(CONFIG).hexdigest()]
    (reload,) = host.calls("reload")
    committed = max(_commit_time(host, "block.rpz"), _commit_time(host, "resolver.yaml"))
    assert 4.5 <= float(reload["at"]) - committed <= 8, "five quiet seconds, then the reload"
    assert host.calls("renew") == []
    assert not host.ledger().needs, "nothing is left to reload"
    assert host.names() == [
        "block.rpz",
        "block.rpz.backup",
        "resolver.yaml",
        "resolver.yaml.backup",
    ]


def test_a_block_list_alone_ends_in_one_renew(host: Host, send: Send) -> None:
    """Only data changed: renew, not reload."""
    host.start()
    host.wait_until_ready()
    send({"block.rpz": b"x" * 3_000_000})
    host.wait_for("renew_assumed")
    assert host.stop() == 0
    assert len(host.calls("renew")) == 1
    assert host.calls("reload") == []
    assert not host.ledger().needs


@pytest.mark.parametrize("order", _ORDERS)
def test_a_chunked_configuration_is_checked_as_a_whole(host: Host, send: Send, order: str) -> None:
    """Chunks that end in the middle of a UTF-8 character: the joined file is what counts."""
    host.start()
    host.wait_until_ready()
    send({"resolver.yaml": CONFIG}, "--chunk-bytes", "3", "--order", order)
    host.wait_for("committed", file="resolver.yaml")
    assert host.stop() == 0
    assert host.holds("resolver.yaml", CONFIG)
    (check,) = host.calls("check")
    assert check["sha256"] == hashlib.sha256(CONFIG).hexdigest()
    assert check["name"] == "resolver.yaml"


def test_a_broken_configuration_is_refused_and_the_old_one_stays(host: Host, send: Send) -> None:
    """Broken bytes never become visible; the next good ones do."""
    (host.files_dir / "resolver.json").write_bytes(b"{}")
    host.start()
    host.wait_until_ready()
    send({"resolver.json": b'{"a": 1, "a": 2}'})
    host.wait_for("invalid", file="resolver.json")
    assert host.holds("resolver.json", b"{}")
    send({"resolver.json": b'{"a": 1}'})
    host.wait_for("committed", file="resolver.json")
    assert host.stop() == 0
    assert host.holds("resolver.json", b'{"a": 1}')
    assert host.holds("resolver.json.backup", b"{}")


def test_a_file_is_visible_within_milliseconds_of_its_last_record(
    host: Host, kafka_broker: KafkaBroker, topic: str
) -> None:
    """No fixed poll: the median delay from acknowledged record to visible file is short."""
    host.start()
    host.wait_until_ready()
    producer = kafka_broker.producer()
    delays = []
    for number in range(9):
        name = f"{number}.rpz"
        headers: list[tuple[str, str | bytes | None]] = [
            ("hostname", b"ns1"),
            ("files-name", name.encode()),
        ]
        producer.produce(topic, value=b"x", headers=headers)
        assert producer.flush(10) == 0
        acknowledged = time.time()
        host.wait_for("committed", file=name)
        delays.append(_commit_time(host, name) - acknowledged)
    assert host.stop() == 0
    # Far above what it takes, far below any poll interval that would be noticed.
    assert sorted(delays)[4] < 0.1, delays


def test_until_caught_up_ends_when_all_is_served(host: Host, send: Send) -> None:
    """Run --until-caught-up reads what is there, waits for the action, and ends with 0."""
    send({"block.rpz": b"one"})
    send({"block.rpz": b"two"})
    host.start("--until-caught-up")
    assert host.process is not None
    assert host.process.wait(60) == 0
    assert host.holds("block.rpz", b"two")
    assert not (host.files_dir / "block.rpz.backup").exists(), "only the newest became visible"
    assert len(host.calls("renew")) == 1
