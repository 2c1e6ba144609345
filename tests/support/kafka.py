"""
A real Apache Kafka for tests: one KRaft node on loopback.

Theory: a broker is worth testing against only if it can be killed. So its
ports and its directory outlive its process: `KafkaBroker.start` after `kill`
or `stop` is the same broker, at the same addresses, with the same data. Ports
are drawn outside the range from which the kernel serves outgoing connections:
otherwise a client that knocks at a dead broker can be given the very port it
knocks at, connect to itself, and keep the broker from coming back.

Left out: more than one node. Needs ``java`` (17 or newer), ``mvn`` for the
first run, ``openssl`` where TLS is asked for, and confluent-kafka: a test
module that must load without that driver imports this one for types only.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar, final

from confluent_kafka import KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from support.certificates import CLIENT, KEY_PASSWORD, Certificates, Identity, make_certificates
from support.kafka_jars import ensure_jars, jars_dir
from support.kafka_programs import BrokerError, find, run, tail
from support.kafka_settings import (
    LOG4J_CONFIGURATION,
    MECHANISMS,
    NODE_ID,
    PASSWORD,
    USER,
    address,
    new_cluster_id,
    protocols,
    server_properties,
)
from support.waiting import eventually

__all__ = [
    "CLIENT",
    "KEY_PASSWORD",
    "PASSWORD",
    "USER",
    "BrokerError",
    "Certificates",
    "Identity",
    "KafkaBroker",
    "ensure_jars",
    "jars_dir",
]

_DIGESTS = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)

#: What the broker's log says of every connection that it accepts.
_ACCEPTED = re.compile(rb"Accepted connection from \S+ on \S*?:(\d+) ")

_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_REQUEST_TIMEOUT = 10.0

_Right = TypeVar("_Right", AclBinding, AclBindingFilter)


class _PortTakenError(BrokerError):
    """Somebody took a port between our choice and the broker's start."""


@final
class KafkaBroker:
    """
    One Apache Kafka node; used by one thread.

    Whoever creates it calls `destroy` in the end; as a context manager it runs from the
    beginning to the end.

    Args:
        root: A directory of its own, made at the first `start`: settings,
            data, certificates, and ``broker.log``.
        security: Also listen with TLS and SASL, and there give nobody a right
            who was not granted it; needs openssl and a second.
        properties: Settings on top of ours, in Kafka's words.
        jars: Where Kafka's jars are, or shall be; default: `jars_dir`.

    Attributes:
        root: As above, without symbolic links.
        cluster_id: What the broker calls its cluster; given at the first `start`.
    """

    def __init__(
        self,
        root: Path,
        *,
        security: bool = False,
        properties: Mapping[str, str] | None = None,
        jars: Path | None = None,
    ) -> None:
        self.root = root.resolve()
        self.cluster_id = ""
        self._protocols = protocols(security=security)
        self._security = security
        self._properties = dict(properties or {})
        self._jars = jars
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: AdminClient | None = None

    def __enter__(self) -> KafkaBroker:
        try:
            self.start()
        except BaseException:
            self.destroy()
            raise
        return self

    def __exit__(self, *_failure: object) -> None:
        self.destroy()

    @property
    def bootstrap(self) -> str:
        """The plain listener, ``host:port``; known after the first `start`, and then for ever."""
        return self.address("plain")

    def address(self, listener: str) -> str:
        """
        Return ``host:port`` of a listener.

        There is ``plain`` and, with security, ``mtls``; ``misnamed``, which is
        the same with a certificate for another host; ``scram``, SCRAM over
        TLS; ``password``, PLAIN over TLS; ``sasl``, SCRAM without TLS.
        """
        return address(self._ports, listener)

    @property
    def certificates(self) -> Certificates:
        """The files for ``mtls`` and ``scram``, there after the first `start` with security."""
        return Certificates.of(self.root / "tls")

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """
        Start, and return when the broker serves; nothing to do if it already does.

        Raises:
            BrokerError: A part is missing, or the broker did not come up.
        """
        if self.is_running:
            return
        if self._ports:
            self._launch()
            return
        for _ in range(5):
            self._prepare()
            try:
                self._launch()
            except _PortTakenError:
                continue
            return
        self._ports = {}
        raise BrokerError(f"no free ports in five tries: see {self._log}")

    def kill(self) -> None:
        """End the broker as a crash does: SIGKILL. What it acknowledged stays."""
        self._end(with_mercy=False)

    def stop(self) -> None:
        """End the broker in good order, SIGTERM; by SIGKILL if that takes too long."""
        self._end(with_mercy=True)

    def restart(self) -> None:
        """Kill and start: same ports, same data."""
        self.kill()
        self.start()

    def destroy(self) -> None:
        """Kill, and remove the directory: the broker's data is gone, its log too."""
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)
        self._ports = {}

    def admin(self) -> AdminClient:
        """Return an administrator's client, the same one until the broker ends."""
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        return self._admin

    def producer(self, **settings: str | float) -> Producer:
        """
        Return a new idempotent producer on the plain listener.

        Args:
            settings: librdkafka's, with underscores for dots, on top of ours.
        """
        ours: dict[str, str | float] = {
            "bootstrap.servers": self.bootstrap,
            "enable.idempotence": True,
            "log_level": 0,
        }
        return Producer(ours | {name.replace("_", "."): value for name, value in settings.items()})

    def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic; return when all its partitions can be used."""
        new = NewTopic(name, partitions, 1, config=dict(config or {}))
        self.admin().create_topics([new])[name].result(_REQUEST_TIMEOUT)
        self._await_partitions(name, partitions)

    def delete_topic(self, name: str) -> None:
        """Delete a topic; return when its name is free."""
        self.admin().delete_topics([name])[name].result(_REQUEST_TIMEOUT)
        eventually(
            lambda: name not in self._leaders(), _REQUEST_TIMEOUT, what=f"topic {name} is gone"
        )

    def add_partitions(self, name: str, total: int) -> None:
        """Grow a topic to *total* partitions; return when all can be used."""
        grown = self.admin().create_partitions([NewPartitions(name, total)])
        grown[name].result(_REQUEST_TIMEOUT)
        self._await_partitions(name, total)

    def delete_records(self, topic: str, before: int, partition: int = 0) -> None:
        """Delete the records of *partition* whose offset is smaller than *before*."""
        cut = TopicPartition(topic, partition, before)
        for deleted in self.admin().delete_records([cut]).values():
            deleted.result(_REQUEST_TIMEOUT)

    def set_password(self, user: str, password: str) -> None:
        """Give *user* of the listeners ``scram`` and ``sasl`` a password; there may be none yet."""
        for digest in _DIGESTS:  # One by one: a user cannot be altered twice in a request.
            salted = ScramCredentialInfo(digest, 4096)
            change = UserScramCredentialUpsertion(user, salted, password.encode(), os.urandom(16))
            self.admin().alter_user_scram_credentials([change])[user].result(_REQUEST_TIMEOUT)

    def grant(self, user: str, operation: str, *, topic: str = "", group: str = "") -> None:
        """Give *user* the right to *operation*, such as ``READ``, on a topic or a group."""
        right = _right(AclBinding, user, operation, topic, group)
        for created in self.admin().create_acls([right]).values():
            created.result(_REQUEST_TIMEOUT)

    def revoke(self, user: str, operation: str, *, topic: str = "", group: str = "") -> None:
        """Take a right away that was granted in the same words."""
        right = _right(AclBindingFilter, user, operation, topic, group)
        for deleted in self.admin().delete_acls([right]).values():
            assert deleted.result(_REQUEST_TIMEOUT), "there was no such right"

    def accepted(self, listener: str) -> int:
        """Return how many connections *listener* has accepted so far."""
        port = b"%d" % self._ports[listener]
        return _ACCEPTED.findall(self._log.read_bytes()).count(port)

    @property
    def _log(self) -> Path:
        return self.root / "broker.log"

    def _prepare(self) -> None:
        """Lay out a new broker on freshly chosen ports, without any data."""
        self._jars = ensure_jars(self._jars)
        self.root.mkdir(parents=True, exist_ok=True)
        if self._security and not self.certificates.ca.exists():
            make_certificates(self.root / "tls")
        self._ports = _choose_ports(self._protocols)
        self.cluster_id = new_cluster_id()
        settings = server_properties(self.root, self._ports, security=self._security)
        (self.root / "server.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in (settings | self._properties).items())
        )
        (self.root / "log4j2.xml").write_text(LOG4J_CONFIGURATION)
        shutil.rmtree(self.root / "data", ignore_errors=True)
        configuration = str(self.root / "server.properties")
        words = ["format", "--standalone", "-t", self.cluster_id, "-c", configuration]
        if self._security:
            for mechanism in MECHANISMS:
                words += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        run(*self._java("kafka.tools.StorageTool", *words))

    def _java(self, *words: str) -> list[str]:
        return [
            "java",
            "-Xms128m",
            "-Xmx512m",
            # The quickest start, for a process that lives for minutes.
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={self.root / 'log4j2.xml'}",
            "-cp",
            f"{self._jars}/*",
            *words,
        ]

    def _launch(self) -> None:
        """Run the prepared broker and wait until it serves; leave no process if it does not."""
        command = self._java("kafka.Kafka", str(self.root / "server.properties"))
        with self._log.open("ab") as log:
            begin = log.tell()
            self._process = subprocess.Popen(
                [find(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if problem := self._await_service():
            self.kill()
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            kind = _PortTakenError if "Address already in use" in said else BrokerError
            raise kind(f"{problem}; the end of {self._log}:\n{tail(said)}")

    def _await_service(self) -> str | None:
        """Wait until the broker serves; return what is the matter if it does not."""
        try:
            eventually(
                lambda: not self.is_running or (self._listens() and self._serves()),
                _START_TIMEOUT,
                what="Kafka serves",
            )
        except AssertionError as exc:
            return str(exc)
        return None if self.is_running else "Kafka ended at once"

    def _end(self, *, with_mercy: bool) -> None:
        process, self._process, self._admin = self._process, None, None
        if process is None:
            return
        if with_mercy:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                pass  # It had its chance.
            else:
                return
        process.kill()
        process.wait()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._ports["plain"]), timeout=1).close()
        except OSError:
            return False
        return True

    def _serves(self) -> bool:
        """Whether the node is unfenced, and every partition that it keeps has a leader."""
        try:
            answer = self.admin().list_topics(timeout=1)
        except KafkaException:
            return False
        leaders = [
            partition.leader
            for topic in answer.topics.values()
            for partition in topic.partitions.values()
        ]
        # Another broker may have won the race for our port, and it serves, too.
        is_ours = answer.cluster_id == self.cluster_id
        return is_ours and {NODE_ID, *leaders} <= answer.brokers.keys()

    def _await_partitions(self, topic: str, count: int) -> None:
        eventually(
            lambda: self._leaders().get(topic) == [NODE_ID] * count,
            _REQUEST_TIMEOUT,
            what=f"topic {topic} has {count} partitions, each with a leader",
        )

    def _leaders(self) -> dict[str, list[int]]:
        answer = self.admin().list_topics(timeout=_REQUEST_TIMEOUT)
        return {
            name: [partition.leader for partition in topic.partitions.values()]
            for name, topic in answer.topics.items()
        }


def _right(kind: type[_Right], user: str, operation: str, topic: str, group: str) -> _Right:
    return kind(
        ResourceType.TOPIC if topic else ResourceType.GROUP,
        topic or group,
        ResourcePatternType.LITERAL,
        f"User:{user}",
        "*",
        AclOperation[operation],
        AclPermissionType.ALLOW,
    )


def _choose_ports(names: Iterable[str]) -> dict[str, int]:
    """Return a port for each of *names* on which nobody listens now."""
    served = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii")
    candidates = range(10_000, max(int(served.split()[0]), 20_000))
    shuffled = random.sample(candidates, len(candidates))
    return dict(zip(names, filter(_is_free, shuffled), strict=False))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
