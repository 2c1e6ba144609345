"""Records that cannot be used, from a real broker: each is counted, none harms another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from support.host import Host
from support.kafka import KafkaBroker

pytestmark = pytest.mark.kafka

Header = tuple[str, "str | bytes | None"]

HOST: Header = ("hostname", b"ns1")
NAME: Header = ("files-name", b"a.rpz")


def _chunk(total: bytes, index: bytes) -> list[Header]:
    return [HOST, NAME, ("total-chunks", total), ("chunk-index", index)]


def _named(name: bytes) -> list[Header]:
    return [HOST, ("files-name", name)]


#: What is wrong: headers, value, the outcome, a word of the reason.
BAD: dict[str, tuple[list[Header], bytes | None, str, str]] = {
    "no host name": ([NAME], b"x", "malformed", "hostname"),
    "null host name": ([("hostname", None), NAME], b"x", "malformed", "null"),
    "host name not UTF-8": ([("hostname", b"\xff"), NAME], b"x", "malformed", "UTF-8"),
    "no file name": ([HOST], b"x", "malformed", "files-name"),
    "null file name": ([HOST, ("files-name", None)], b"x", "malformed", "null"),
    "file name not UTF-8": (_named(b"\xff\xfe"), b"x", "malformed", "UTF-8"),
    "two file names": ([HOST, NAME, ("file-name", b"b.rpz")], b"x", "malformed", "b.rpz"),
    "repeated file name": ([HOST, NAME, NAME], b"x", "malformed", "twice"),
    "repeated host name": ([HOST, HOST, NAME], b"x", "malformed", "twice"),
    "null value": ([HOST, NAME], None, "malformed", "no value"),
    "total without index": ([HOST, NAME, ("total-chunks", b"2")], b"x", "malformed", "chunk-index"),
    "index without total": ([HOST, NAME, ("chunk-index", b"2")], b"x", "malformed", "total-chunks"),
    "null index": ([*_chunk(b"2", b"1")[:3], ("chunk-index", None)], b"x", "malformed", "null"),
    "index beyond total": (_chunk(b"2", b"3"), b"x", "malformed", "chunk 3 of 2"),
    "index 0": (_chunk(b"2", b"0"), b"x", "malformed", "first chunk is 1"),
    "index -1": (_chunk(b"2", b"-1"), b"x", "malformed", "decimal"),
    "total 0": (_chunk(b"0", b"0"), b"x", "malformed", "first chunk is 1"),
    "5,000 digits": (_chunk(b"9" * 5000, b"1"), b"x", "malformed", "decimal"),
    "a space": (_chunk(b" 2", b"1"), b"x", "malformed", "decimal"),
    "an underscore": (_chunk(b"1_0", b"1"), b"x", "malformed", "decimal"),
    "other digits": (_chunk("٢".encode(), b"1"), b"x", "malformed", "decimal"),
    "a fraction": (_chunk(b"2", b"4/3"), b"x", "malformed", "decimal"),
    "a huge total": (_chunk(b"2147483647", b"1"), b"x", "refused_quota", "chunks-per-file"),
    "a parent": (_named(b"../outside/x"), b"x", "refused_name", ".."),
    "an absolute name": (_named(b"/etc/x"), b"x", "refused_name", "files-dir"),
    "an empty name": (_named(b""), b"x", "refused_name", "''"),
    "a NUL": (_named(b"a\x00b"), b"x", "refused_name", "x00"),
    "300 bytes": (_named(b"a" * 300), b"x", "refused_name", "longer"),
    "our suffix": (_named(b"a.tmp"), b"x", "refused_name", "itself"),
    "our directory": (_named(b".filesync/journal"), b"x", "refused_name", "itself"),
    "through a link": (_named(b"link/x"), b"x", "refused_name", "symbolic link"),
    "onto a link": (_named(b"onto"), b"x", "refused_name", "symbolic link"),
    "onto a directory": (_named(b"directory"), b"x", "refused_name", "directory"),
}


@pytest.fixture(name="producer")
def _producer(kafka_broker: KafkaBroker) -> Iterator[Producer]:
    producer = kafka_broker.producer()
    yield producer
    assert producer.flush(10) == 0


def test_every_bad_record_is_counted_and_the_next_good_one_is_used(
    host: Host, producer: Producer, topic: str
) -> None:
    """Each kind has its outcome and a reason; a null key is fine; nothing leaves files-dir."""
    (host.files_dir / "link").symlink_to(host.outside)
    target = host.outside / "target"
    target.write_bytes(b"not ours")
    (host.files_dir / "onto").symlink_to(target)
    (host.files_dir / "directory").mkdir()
    before = _everything(host.outside)
    host.start()
    host.wait_until_ready()
    for number, (what, (headers, value, outcome, reason)) in enumerate(BAD.items()):
        producer.produce(topic, key=None, value=value, headers=headers)
        good = f"good-{number}.rpz"
        producer.produce(topic, value=b"good", headers=[HOST, ("files-name", good.encode())])
        assert producer.flush(10) == 0
        host.wait_for("committed", file=good)
        if outcome == "malformed" and len(host.events("malformed")) >= 10:
            continue  # Alike lines are not logged without end; the count is below.
        found = [event for event in host.events(outcome) if reason in event["msg"]]
        assert found, f"{what}: no {outcome} that says {reason!r}"
    assert host.stop() == 0
    assert _everything(host.outside) == before
    assert (host.files_dir / "onto").is_symlink()
    strangers = [name for name in host.names() if not name.startswith("good-")]
    assert strangers == ["directory", "link", "onto"]


# What a driver fetched and nobody took yet is no matter of ours, and differs by 30 MiB from one
# moment to the next: here it is little.
@pytest.mark.parametrize(
    "options",
    [
        {
            "confluent-kafka": {
                "queued.min.messages": 1000,
                "queued.max.messages.kbytes": 512,
                "max.partition.fetch.bytes": 1 << 17,
            },
            "kafka-python": {"max_partition_fetch_bytes": 1 << 17, "fetch_max_bytes": 1 << 17},
        }
    ],
    ids=["small-queues"],
)
def test_a_flood_of_bad_records_costs_no_memory(host: Host, producer: Producer, topic: str) -> None:
    """350,000 bad records of four kinds: memory stays, few lines are logged, files still arrive."""
    host.start()
    host.wait_until_ready()
    floods = [BAD[kind] for kind in ("no file name", "5,000 digits", "a huge total", "a parent")]
    sizes = []
    for round_number in range(14):
        for number in range(25_000):
            headers, value, _, _ = floods[number % 4]
            if number % 4 == 2:  # Each under a name of its own: nothing is kept of a name.
                headers = [HOST, ("files-name", b"%d-%d" % (round_number, number)), *headers[2:]]
            while True:
                try:
                    producer.produce(topic, value=value, headers=headers)
                    break
                except BufferError:
                    producer.poll(0.1)
        name = f"{round_number}.rpz"
        producer.produce(topic, value=b"x", headers=[HOST, ("files-name", name.encode())])
        assert producer.flush(60) == 0
        host.wait_for("committed", file=name)
        sizes.append(host.rss())
    assert host.stop() == 0
    # 30 bytes kept of each record would be 5 MiB more.
    assert max(sizes[7:]) - max(sizes[:7]) < 4 << 20, sizes
    assert len(host.log().splitlines()) < 100


def _everything(folder: Path) -> list[tuple[str, bytes]]:
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            found.append((str(path), path.read_bytes()))
    return sorted(found)
