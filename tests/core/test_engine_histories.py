"""
Histories of the engine: senders, crashes and failures in any order.

Plain seeded chance instead of hypothesis: a history is long, most of its
length is needed to reach the interesting states, and hundreds run in a second.
A failure names its seed; ``play(seed)`` plays it again.
"""

from __future__ import annotations

import os
import random
from math import inf

import pytest
from attrs import define, field

from filesync import KafkaSettings, Limits, Settings, TopicPartition
from filesync._effects import CommitFile, RunAction
from filesync._outcomes import TransferEnded
from filesync.daemon import ActionResult, Refused, Served, Unknown, Unreachable
from support.simulation import TOPIC, Simulation

#: Sent with id and generation; by the four headers alone; with an id alone.
NAMES = ("a.rpz", "b.rpz", "c.yaml")
STEPS = 150


@define
class Sending:
    """A transfer of which some chunks are not in the log yet."""

    name: str
    pieces: list[bytes]
    left: list[int]
    identity: bytes
    start: int | None = None
    sent: set[int] = field(factory=set)


@define
class History:
    """
    One host, two partitions, three files; each file uses one partition.

    Transfers with an id are sent side by side, shuffled and abandoned at
    will, with a generation also repeated; one without an id is sent in order
    and alone. How old a version is, is told by its generation, else by the
    offset of its first record.
    """

    chance: random.Random
    host: Simulation
    sending: list[Sending] = field(factory=list)
    #: By name: age and bytes of every complete version.
    complete: dict[str, dict[int, bytes]] = field(factory=lambda: {name: {} for name in NAMES})
    started: int = 0

    def begin(self) -> None:
        name = self.chance.choice(NAMES)
        named = name != "b.rpz"
        others = [sending for sending in self.sending if sending.name == name]
        if len(others) >= 3:
            return
        if not named:
            # Without an id a sender is alone: what came before is abandoned.
            self.sending = [sending for sending in self.sending if sending.name != name]
        count = self.chance.choice([1, 1, 2, 3, 4])
        order = list(range(count))
        if named:
            self.chance.shuffle(order)
            if name == "a.rpz" and self.chance.random() < 0.3:
                order.insert(self.chance.randrange(count + 1), self.chance.randrange(count))
        self.started += 1
        pieces = [b"%d%s" % (index, self.chance.choice([b"x", b"y"])) for index in range(count)]
        if self.chance.random() < 0.7:
            pieces[-1] += b"v%d" % self.started
        if name == "c.yaml" and self.chance.random() < 0.3:
            pieces[0] = b"needs %s " % self.chance.choice([b"a.rpz", b"b.rpz", b"never.rpz"])
        identity = b"%d" % self.started if named else b""
        self.sending.append(Sending(name, pieces, order, identity))

    def send(self) -> None:
        if not self.sending:
            return
        sending = self.chance.choice(self.sending)
        for _ in range(self.chance.randint(1, len(sending.left))):
            self.send_chunk(sending)
        if not sending.left:
            self.sending.remove(sending)

    def send_chunk(self, sending: Sending) -> None:
        index = sending.left.pop(0)
        count = len(sending.pieces)
        headers = [("hostname", b"NS1."), ("file-name", sending.name.encode())]
        if count > 1:
            headers += [("total-chunks", b"%d" % count), ("chunk-index", b"%d" % (index + 1))]
        if sending.identity:
            headers.append(("transfer-id", sending.identity))
        if sending.name == "a.rpz":
            headers.append(("generation", sending.identity))
        partition = NAMES.index(sending.name) % 2
        record = self.host.send(headers, sending.pieces[index], partition=partition)
        if sending.start is None:
            sending.start = record.offset
        sending.sent.add(index)
        if len(sending.sent) == count:
            age = int(sending.identity) if sending.name == "a.rpz" else sending.start
            self.complete[sending.name][age] = b"".join(sending.pieces)

    def noise(self) -> None:
        host = self.chance.choice([b"ns1", b"ns2"])
        self.host.send([("hostname", host), ("chunk-index", b"x")], b"")

    def poll(self) -> None:
        self.host.poll(self.chance.choice([1, 3, 500]))

    def finish(self) -> None:
        if not self.host.jobs:
            return
        index = self.chance.randrange(len(self.host.jobs))
        fine = self.chance.random() < 0.8
        if isinstance(self.host.jobs[index], RunAction):
            bad: list[ActionResult] = [Unknown("?"), Refused("!"), Unreachable("-")]
            result = Served("") if fine else self.chance.choice(bad)
            self.host.finish(index, result=result)
        elif isinstance(self.host.jobs[index], CommitFile) and self.chance.random() < 0.1:
            self.host.finish(index, torn=True)
        else:
            self.host.finish(index, fail=None if fine else "input/output error")

    def tear(self) -> None:
        plans = [i for i, job in enumerate(self.host.jobs) if isinstance(job, CommitFile)]
        if plans:
            self.host.tear(self.chance.choice(plans))

    def advance(self) -> None:
        self.host.advance(self.chance.choice([0.1, 1.0, 5.0, 31.0]))

    def disk(self) -> None:
        self.host.disk_full = not self.host.disk_full and self.chance.random() < 0.3

    def crash(self) -> None:
        self.host.crash()

    def calm(self) -> None:
        if not self.host.disk_full:
            self.host.run(self.chance.choice([0.0, 6.0]))

    def check(self) -> None:
        """State what holds at every moment."""
        host = self.host
        for name, data in host.disk.items():
            assert data in self.complete[name].values(), f"{name} is {data!r}"
        assert not host.lacking(host.disk.get("c.yaml", b"")), "what it needs is not there"
        stats = host.engine.stats()
        if stats.unserved and stats.caught_up and stats.schedule != "blocked":
            running = any(isinstance(job, RunAction) for job in host.jobs)
            assert running or host.alarm < inf, "a need was forgotten"
        for source, safe in host.ledger().positions.items():
            assert safe <= len(host.log[source]), "a position beyond the log"

    def end(self) -> None:
        """State what holds when nothing fails any more."""
        host = self.host
        host.disk_full = False
        if self.chance.random() < 0.5:
            host.crash()
        host.run(300)
        for name in NAMES:
            versions = self.complete[name]
            newest = versions[max(versions)] if versions else None
            if newest is not None and newest.startswith(b"needs"):
                # It was refused if what it needs came too late: then what was there stays.
                assert not host.lacking(newest) or host.disk.get(name) != newest
                continue
            assert host.disk.get(name) == newest, f"{name}: {host.disk.get(name)!r} {versions}"
        assert host.engine.stats().parked_commits == 0
        if host.engine.stats().schedule != "blocked":
            assert not host.engine.stats().unserved
            assert host.served == host.disk
        for number in (0, 1):
            source = TopicPartition(TOPIC, number)
            assert host.reading.get(source, 0) == len(host.log[source])


def play(seed: int) -> None:
    """Play the history that *seed* stands for; name it when it fails."""
    try:
        _play(seed)
    except Exception as exc:
        raise AssertionError(f"history {seed}: {exc}") from exc


def _play(seed: int) -> None:
    limits = Limits(unfinished_commits=3)
    settings = Settings(
        hostname="ns1", kafka=KafkaSettings(topic=TOPIC, files_dir="/files"), limits=limits
    )
    history = History(random.Random(seed), Simulation(settings))
    history.host.partition(0)
    history.host.partition(1)
    weights = {
        history.begin: 12,
        history.send: 16,
        history.noise: 2,
        history.poll: 14,
        history.finish: 22,
        history.advance: 6,
        history.disk: 2,
        history.crash: 2,
        history.tear: 2,
        history.calm: 3,
    }
    steps, shares = list(weights), list(weights.values())
    for step in history.chance.choices(steps, shares, k=STEPS):
        step()
        history.check()
    committed: dict[str, int] = {}
    for outcome in history.host.outcomes:
        if isinstance(outcome, TransferEnded) and outcome.ending.value == "committed":
            age = outcome.origin.generation or outcome.origin.offset
            assert age >= committed.get(outcome.name, -1), f"{outcome.name} went back"
            committed[outcome.name] = age
    history.end()


@pytest.mark.parametrize("block", range(8))
def test_whatever_happens_the_newest_complete_versions_are_served(block: int) -> None:
    """Only whole versions are ever seen, none goes back, and all is well in the end."""
    histories = int(os.environ.get("FILESYNC_HISTORIES", "160"))
    first = int(os.environ.get("FILESYNC_SEED", "0")) + block * histories
    for seed in range(first, first + histories // 8):
        play(seed)
