"""The address of a server: its spellings, its one normal form, and what is none."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from filesync._setting_checks import server_address
from filesync._settings import KafkaSettings
from support.settings_examples import read

HOSTS = st.sampled_from(["a", "broker-1.example", "_x.y", "10.0.0.1", "example.com.", "A" * 63])
SIXES = st.ip_addresses(v=6).map(str) | st.sampled_from(["::1", "fe80::1%eth0", "::ffff:1.2.3.4"])
PORTS = st.integers(1, 65535)


@given(HOSTS, PORTS)
def test_a_server_has_one_normal_form(host: str, port: int) -> None:
    """Both spellings of a name with a port mean the same, and normal form is stable."""
    normal = f"{host}:{port}"
    assert {server_address(text) for text in (normal, f"{host}@{port}")} == {normal}
    assert server_address(host) == f"{host}:9092"


@given(SIXES, PORTS)
def test_an_ipv6_server_has_one_normal_form(host: str, port: int) -> None:
    """All spellings of an IPv6 address with a port mean the same."""
    normal = f"[{host}]:{port}"
    spellings = (normal, f"[{host}]@{port}", f"{host}@{port}")
    assert {server_address(text) for text in spellings} == {normal}
    assert server_address(f"[{host}]") == f"[{host}]:9092"


def normal_or_none(text: str) -> str | None:
    """Return the normal form; None: it is refused, by `ValueError` and nothing else."""
    try:
        return server_address(text)
    except ValueError:
        return None


@given(st.text() | st.from_regex(r"\[?[a-z0-9.:%@-]{0,9}\]?[:@]?[0-9]{0,6}", fullmatch=True))
def test_a_server_is_normal_or_refused(text: str) -> None:
    """What is accepted is a fixed point, and can never become two servers."""
    normal = normal_or_none(text)
    if normal is not None:
        assert server_address(normal) == normal
        assert re.fullmatch(r"[\w.:%\[\]-]+:[1-9][0-9]*", normal, re.ASCII)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":9092",
        "@9092",
        "a:",
        "a@",
        "a:0",
        "a:65536",
        "a:09092",
        "a:+1",
        "a:1\n",
        "a:b:c",
        "::1",
        "fe80::1:9092",
        "[::1",
        "[::1]9092",
        "[::1]:",
        "[]:1",
        "[a]:1",
        "[1.2.3.4]:1",
        "[::1%a,b]:1",
        "[::g]",
        "a,b",
        "a b",
        "-a",
        "a-",
        "a..b",
        ".a",
        "b\u00fccher",
        "1.2.3",
        "1.2.3.256",
        "9092",
        "a" * 64,
        ".".join(["a" * 62] * 5),
        "PLAINTEXT://a:9092",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    """Doubtful addresses are not guessed at."""
    with pytest.raises(ValueError, match="must be host"):
        server_address(text)


@given(st.lists(HOSTS, min_size=1))
def test_lists_of_servers_keep_their_order(hosts: list[str]) -> None:
    """A list in the file, in code, and a single server agree."""
    expected = tuple(f"{host}:9092" for host in hosts)
    assert read(yaml.safe_dump({"kafka": {"server": hosts}})).kafka.servers == expected
    assert KafkaSettings(servers=tuple(hosts)).servers == expected
    assert KafkaSettings(servers=hosts[0]).servers == expected[:1]
