"""A publisher on a real broker that refuses a record, or of which the topic is another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from filesync import KafkaSettings, Parting, Settings, ShipmentEnded
from filesync.runtime import FileToSend, Publisher
from support.kafka import KafkaBroker
from support.publishing import Log, Tag, new_topic

pytestmark = pytest.mark.kafka

_MIB = 1024 * 1024

_CHUNK = 512 * 1024


def _publisher(
    broker: KafkaBroker,
    topic: str,
    driver: str,
    progress: Callable[[int, int], None] | None = None,
) -> Publisher:
    kafka = KafkaSettings(topic=topic, servers=(broker.bootstrap,))
    settings = Settings(hostname="sender.example", driver=driver, kafka=kafka)
    return Publisher(settings, progress=progress, chunk_bytes=_CHUNK)


def _file(folder: Path, name: str, size: int) -> FileToSend:
    path = folder / name
    path.write_bytes(b"x" * size)
    return FileToSend(str(path))


def _partings(ended: list[ShipmentEnded]) -> dict[str, Parting]:
    return {each.shipment.name: each.parting for each in ended}


@pytest.mark.timeout(180)
def test_of_a_file_of_which_the_topic_is_created_anew_nobody_says_that_it_was_sent(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str
) -> None:
    """All of its records are acknowledged, but the first ones are gone; sent again it is there."""
    topic = new_topic(kafka_broker)
    recreated: list[bool] = []

    def recreate(acknowledged: int, total: int) -> None:
        if acknowledged > total // 4 and not recreated:
            recreated.append(True)
            kafka_broker.delete_topic(topic)
            kafka_broker.create_topic(topic)

    files = [_file(tmp_path, "a.rpz", 100 * _MIB), _file(tmp_path, "r.yaml", 1)]
    with _publisher(kafka_broker, topic, driver, recreate) as publisher:
        ended = publisher.publish(files, ["ns1"])
        assert recreated
        assert _partings(ended) == {"a.rpz": Parting.FAILED, "r.yaml": Parting.WITHHELD}
        assert "send all of them again" in str(ended[0])
        transfers = {Tag.of(each).transfer for each in Log(kafka_broker, topic).records()}

        again = publisher.publish(files, ["ns1"])
        assert set(_partings(again).values()) == {Parting.SENT}
    tags = [Tag.of(each) for each in Log(kafka_broker, topic).records()]
    whole = [tag.index for tag in tags if tag.name == "a.rpz" and tag.transfer not in transfers]
    assert whole == list(range(1, 201))


def test_one_file_that_is_too_large_harms_no_later_one(
    tmp_path: Path, kafka_broker: KafkaBroker, driver: str
) -> None:
    """In the same call they may have to be sent again, and that is said; the next one is as new."""
    topic = new_topic(kafka_broker, config={"max.message.bytes": "100000"})
    large = _file(tmp_path, "large.rpz", 200_000)
    small = [_file(tmp_path, f"{number}.rpz", number) for number in range(3)]
    with _publisher(kafka_broker, topic, driver) as publisher:
        first = {each.shipment.name: each for each in publisher.publish([large, *small], ["ns1"])}
        assert "larger than the broker takes" in first.pop("large.rpz").detail
        for each in first.values():
            assert each.parting is Parting.SENT or "another record was refused" in each.detail

        for _ in range(2):
            assert set(_partings(publisher.publish(small, ["ns1"])).values()) == {Parting.SENT}
        (alone,) = publisher.publish([large], ["ns1"])
        assert alone.parting is Parting.FAILED
        assert set(_partings(publisher.publish(small, ["ns1"])).values()) == {Parting.SENT}

    counts = Counter(Tag.of(each).name for each in Log(kafka_broker, topic).records())
    assert set(counts) == set(first)
    for name, each in first.items():
        assert counts[name] >= 3 + (each.parting is Parting.SENT)
