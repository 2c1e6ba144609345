"""
The scenarios that other clients get wrong, with their records, through the whole engine.

S1, S3 to S5, S7, S9 to S15; a chunk is written as version and number: A2 is the second chunk of A.
"""

from __future__ import annotations

import pytest
from attrs import evolve

from filesync import FaultSeen, Limits, RecordRefused, TransferEnded
from filesync._effects import CommitFile
from support.pieces import P0, P1
from support.simulation import Simulation

A = [b"A1", b"A2", b"A3"]
B = [b"B1", b"B2", b"B3"]


def _named(word: bytes, generation: int | None = None) -> list[tuple[str, bytes | None]]:
    """Return the headers of a transfer that its sender named."""
    extra: list[tuple[str, bytes | None]] = [("transfer-id", word)]
    if generation is not None:
        extra.append(("generation", b"%d" % generation))
    return extra


def _safe(host: Simulation, partition: int = 0) -> int:
    source = (P0, P1)[partition]
    return host.engine.stats().safe_positions[source]


def _details(host: Simulation, name: str) -> list[str]:
    return [o.detail for o in host.outcomes if isinstance(o, TransferEnded) and o.name == name]


@pytest.mark.parametrize("again", [B, [b"A1", b"B2", b"B3"]], ids=["new", "equal first chunk"])
def test_s1_a_producer_restarts_with_new_content(host: Simulation, again: list[bytes]) -> None:
    """A is superseded, B is committed once, and the position follows what is open."""
    host.starts[P0] = 10
    host.run()
    host.send_file("f.rpz", A, order=[0, 1])
    host.run()
    assert _safe(host) == 10
    host.send_file("f.rpz", again, order=[0])
    host.run()
    assert (host.endings(), _safe(host)) == (["superseded"], 12)
    host.send_file("f.rpz", again, order=[1, 2])
    host.run()
    assert host.disk == {"f.rpz": b"".join(again)}
    assert (host.endings(), _safe(host)) == (["superseded", "committed"], 15)


@pytest.mark.parametrize("named", [True, False])
def test_s3_reorder_and_a_late_duplicate(host: Simulation, named: bool) -> None:
    """Named, it is known by its id. By four headers it may be a start: pinned, then expired."""
    host.run()
    extra = _named(b"a") if named else []
    host.send_file("f.rpz", A, order=[1, 0, 2, 0], extra=extra)
    host.run(60)
    assert host.disk == {"f.rpz": b"A1A2A3"}
    assert _safe(host) == (4 if named else 3)
    host.run(3600)
    assert _safe(host) == 4
    late = [o.ending.value for o in host.outcomes if isinstance(o, RecordRefused | TransferEnded)]
    assert sorted(late) == ["committed", "late_duplicate"]
    assert len(host.actions) == 1


@pytest.mark.parametrize("other_traffic", [True, False])
def test_s4_a_chunk_is_lost_for_ever(host: Simulation, other_traffic: bool) -> None:
    """By the log's own progress or by an idle timer; the missing chunks are named, all is freed."""
    if other_traffic:
        host.settings = evolve(host.settings, limits=Limits(expire_offsets=50))
        host.boot()
    host.run()
    host.send_file("f.rpz", [*A, b"A4", b"A5"], order=[0, 1])
    if other_traffic:
        for number in range(60):
            host.send_file(f"{number % 7}.rpz", [b"x%d" % number])
        host.run(30)
    else:
        host.run(2000)
    assert host.endings("f.rpz") == ["expired"]
    assert "missing: 3, 4, 5" in _details(host, "f.rpz")[0]
    stats = host.engine.stats()
    assert (stats.open_transfers, stats.spooled_bytes, host.spool) == (0, 0, {})
    assert "f.rpz" not in host.disk
    assert _safe(host) == len(host.log[P0])


def test_s5_a_crash_while_an_early_transfer_is_open(host: Simulation) -> None:
    """What was committed since is seen again, and neither written nor reloaded again."""
    host.run()
    host.send_file("a.rpz", A, order=[0, 1])
    for name in ("b.rpz", "c.rpz", "d.rpz"):
        host.send_file(name, [name.encode()])
    host.run(60)
    before = list(host.versions_seen), len(host.actions)
    host.crash()
    host.run(60)
    assert (list(host.versions_seen), len(host.actions)) == before
    host.send_file("a.rpz", A, order=[2])
    host.run(60)
    assert host.disk["a.rpz"] == b"A1A2A3"
    assert len(host.actions) == before[1] + 1


@pytest.mark.parametrize("gone", ["recreated", "lost"])
def test_s7_a_commit_ends_after_its_log_is_gone(host: Simulation, gone: str) -> None:
    """It counts, but says nothing about the new log, which is read from its start."""
    host.run()
    host.send_file("a.rpz", [b"old"])
    host.poll()
    [job] = [job for job in host.jobs if isinstance(job, CommitFile)]
    host.recreate()
    if gone == "lost":
        host.crash()
    else:
        host.finish(host.jobs.index(job))
    host.send_file("a.rpz", [b"new"])
    host.run(60)
    assert host.disk == {"a.rpz": b"new"}
    assert host.engine.stats().safe_positions == {P0: 1}
    assert host.ledger().positions == {P0: 1}


def test_s9_retention_cuts_the_head_of_a_transfer(host: Simulation) -> None:
    """The gap is told; the rest of A never completes nor pins; B is applied."""
    host.run()
    host.send_file("a.rpz", A)
    host.send_file("b.rpz", [b"bee"])
    host.starts[P0] = 1
    del host.log[P0][0]
    host.crash()
    host.found.clear()
    host.journal.clear()
    host.disk.clear()
    host.outcomes.clear()
    host.boot()
    host.run(60)
    assert host.disk == {"b.rpz": b"bee"}
    host.run(3600)
    assert host.endings("a.rpz") == ["head_missing"]
    assert "send the file again" in _details(host, "a.rpz")[-1]
    assert _safe(host) == 4


def test_s10_a_host_without_a_position(host: Simulation) -> None:
    """The newest complete version of each file, written once; one renew; then the rest, live."""
    for piece in (b"F1", b"F2"):
        host.send_file("f.rpz", [piece])
        host.send_file("g.rpz", [b"G1"])
    host.send_file("f.rpz", [b"F31", b"F32"], order=[0])
    host.run(60)
    assert host.versions_seen == [("f.rpz", b"F2"), ("g.rpz", b"G1")]
    assert len(host.actions) == 1
    assert host.engine.stats().caught_up
    assert _safe(host) == 4
    host.send_file("f.rpz", [b"F31", b"F32"], order=[1])
    host.run(60)
    assert host.disk["f.rpz"] == b"F31F32"


def test_s11_a_compacted_topic(host: Simulation) -> None:
    """Of a file's chunks the last one is left: told as such, and nothing is pinned."""
    host.send_file("f.rpz", [*A, b"A4", b"A5"], order=[4])
    host.starts[P0] = 0
    host.run(3600)
    assert host.disk == {}
    assert host.endings() == ["head_missing"]
    assert _safe(host) == 1


def test_s12_chunks_in_two_partitions(host: Simulation) -> None:
    """With an id they are one transfer, and each partition is pinned at its own first chunk."""
    host.partition(1)
    host.run()
    host.send_file("f.rpz", A, order=[0], extra=_named(b"a"), partition=1)
    host.send_file("x.rpz", [b"x"], partition=0)
    host.send_file("f.rpz", A, order=[1], extra=_named(b"a"), partition=0)
    host.run(30)
    assert (_safe(host, 0), _safe(host, 1)) == (1, 0)
    host.send_file("f.rpz", A, order=[2], extra=_named(b"a"), partition=0)
    host.run(30)
    assert host.disk == {"f.rpz": b"A1A2A3", "x.rpz": b"x"}
    assert (_safe(host, 0), _safe(host, 1)) == (3, 1)


def test_s12_without_an_id_no_half_is_ever_joined(host: Simulation) -> None:
    """Order means nothing across partitions: the old file stays."""
    host.partition(1)
    host.run()
    host.send_file("f.rpz", A, order=[0, 1], partition=1)
    host.send_file("f.rpz", A, order=[2], partition=0)
    host.run(3600)
    assert host.disk == {}
    assert sorted(host.endings()) == ["expired", "head_missing"]
    assert (_safe(host, 0), _safe(host, 1)) == (1, 2)


def test_s13_offsets_that_are_never_seen(host: Simulation) -> None:
    """Of aborted records and markers nothing comes: the position is what the transport says."""
    host.run()
    host.send_file("f.rpz", [b"B1", b"B2"])
    log = host.log[P0]
    log[:] = [record._replace(offset=record.offset + 4) for record in log]
    host.run(30)
    assert host.disk == {"f.rpz": b"B1B2"}
    assert _safe(host) == 6


@pytest.mark.parametrize(
    ("total", "index"),
    [
        (b"2147483647", b"0"),
        (b"3", b"4"),
        (b"3", b"-1"),
        (b"3", b"+1"),
        (b"3", b"1_0"),
        (b"3", "\u0661".encode()),
        (b"3", b"9" * 5000),
        (b"3", None),
        (None, b"1"),
        (b"", b""),
    ],
)
def test_s14_a_hostile_record_stops_nothing(
    host: Simulation, total: bytes | None, index: bytes | None
) -> None:
    """It is refused and counted, the position moves on, and the next file is served."""
    host.run()
    headers = [("hostname", b"ns1"), ("files-name", b"f.rpz")]
    host.send((*headers, ("total-chunks", total), ("chunk-index", index)), b"x")
    host.send_file("good.rpz", [b"good"])
    host.run(30)
    assert host.disk == {"good.rpz": b"good"}
    assert [o.ending.value for o in host.outcomes if isinstance(o, RecordRefused)] == ["malformed"]
    assert _safe(host) == 2


def test_s14_a_declared_total_costs_nothing(host: Simulation) -> None:
    """Two thousand million chunks are refused by their number, at once."""
    host.run()
    headers = [("hostname", b"ns1"), ("files-name", b"f.rpz")]
    host.send((*headers, ("total-chunks", b"2147483647"), ("chunk-index", b"1")), b"x")
    host.run(30)
    refused = [o.ending.value for o in host.outcomes if isinstance(o, RecordRefused)]
    assert refused == ["refused_quota"]
    assert _safe(host) == 1


@pytest.mark.parametrize("named", [True, False])
def test_s15_an_old_transfer_finishes_after_a_newer_one(host: Simulation, named: bool) -> None:
    """The one that started earlier is superseded, whenever it ends; its pin goes at once."""
    host.run()
    old = _named(b"a", 1) if named else []
    new = _named(b"b", 2) if named else []
    host.send_file("f.rpz", [b"A1", b"A2"], order=[0], extra=old)
    host.send_file("f.rpz", [b"B"], extra=new)
    host.run(30)
    assert _safe(host) == 2
    host.send_file("f.rpz", [b"A1", b"A2"], order=[1], extra=old)
    host.run(3600)
    assert host.disk == {"f.rpz": b"B"}
    assert host.endings("f.rpz")[:2] == ["committed", "superseded"]
    assert len(host.actions) == 1


def test_the_same_content_again_and_again(host: Simulation) -> None:
    """Sent every hour, written and renewed once."""
    host.run()
    for _ in range(5):
        host.send_file("f.rpz", A)
        host.run(3600)
    assert host.versions_seen == [("f.rpz", b"A1A2A3")]
    assert host.endings() == ["committed", *["unchanged"] * 4]
    assert len(host.actions) == 1


def test_a_shorter_version_replaces_a_longer_one(host: Simulation) -> None:
    """Nothing of the longer one is left."""
    host.run()
    for pieces in (A, [b"B1", b"B2"], [b"C"]):
        host.send_file("f.rpz", pieces)
        host.run(30)
    assert host.disk == {"f.rpz": b"C"}


def test_a_record_from_the_far_future_expires_nothing(host: Simulation) -> None:
    """A sender's clock is not ours: what is open goes on."""
    host.run()
    host.send_file("f.rpz", A, order=[0, 1], timestamp=1e12)
    host.send_file("x.rpz", [b"x"], timestamp=9e15)
    host.run(60)
    host.send_file("f.rpz", A, order=[2], timestamp=1e12 + 1)
    host.run(60)
    assert host.disk == {"f.rpz": b"A1A2A3", "x.rpz": b"x"}


def test_a_cut_log_gap_is_told_once(host: Simulation) -> None:
    """With how many records are lost."""
    host.run()
    host.send_file("a.rpz", [b"one"])
    host.run(30)
    for number in range(3):
        host.send_file("b.rpz", [b"%d" % number])
    host.starts[P0] = 3
    del host.log[P0][:3]
    host.crash()
    host.run(30)
    gaps = [o for o in host.outcomes if isinstance(o, FaultSeen) and o.label == "log_gap"]
    assert len(gaps) == 1
    assert "2 records" in str(gaps[0])
