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

import base64
import fcntl
import os
import random
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from attrs import frozen
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

#: A user of the listeners ``scram`` and ``sasl``, with both SCRAM digests, and of ``password``.
USER, PASSWORD = "alice", "s3cret"

#: Who `Certificates.client` is to the listeners ``mtls``.
CLIENT = "CN=client"

#: Of the key of `Certificates.locked`.
KEY_PASSWORD = "0pen"

_KAFKA, _LOG4J, _DEPENDENCY_PLUGIN = "4.3.0", "2.25.3", "3.8.1"

_POM = f"""\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>filesync.tests</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{_KAFKA}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-slf4j-impl</artifactId>
      <version>{_LOG4J}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.logging.log4j</groupId>
      <artifactId>log4j-core</artifactId>
      <version>{_LOG4J}</version>
    </dependency>
  </dependencies>
</project>
"""

_LOG4J_CONFIGURATION = """\
<Configuration status="warn">
  <Appenders>
    <Console name="console"><PatternLayout pattern="%d %p %m (%c)%n"/></Console>
  </Appenders>
  <Loggers>
    <Logger name="kafka.network.DataPlaneAcceptor" level="debug"/>
    <Root level="warn"><AppenderRef ref="console"/></Root>
  </Loggers>
</Configuration>
"""

#: The Debian package that brings a program.
_PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven", "openssl": "openssl"}

_ALWAYS = {"plain": "PLAINTEXT", "controller": "PLAINTEXT"}
_SECURE = {
    "mtls": "SSL",
    "misnamed": "SSL",
    "scram": "SASL_SSL",
    "password": "SASL_SSL",
    "sasl": "SASL_PLAINTEXT",
}
_MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_DIGESTS = (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512)

_LOGIN_MODULES = "org.apache.kafka.common.security"
_AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"

#: What the broker's log says of every connection that it accepts.
_ACCEPTED = re.compile(rb"Accepted connection from \S+ on \S*?:(\d+) ")

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

_LOOPBACK = "IP:127.0.0.1, DNS:localhost"

_NODE_ID = 1
_START_TIMEOUT = 60.0
_STOP_TIMEOUT = 20.0
_REQUEST_TIMEOUT = 10.0


_Right = TypeVar("_Right", AclBinding, AclBindingFilter)


class BrokerError(Exception):
    """The broker cannot be had; the message says what to do or to read."""


class _PortTakenError(BrokerError):
    """Somebody took a port between our choice and the broker's start."""


def jars_dir() -> Path:
    """Where the jars are kept: ``FILESYNC_KAFKA_JARS``, else in the user's cache."""
    if chosen := os.environ.get("FILESYNC_KAFKA_JARS"):
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "filesync-tests" / f"kafka-{_KAFKA}"


def ensure_jars(cache_dir: Path | None = None) -> Path:
    """
    Return *cache_dir* (default: `jars_dir`), with Kafka's jars in it.

    They are downloaded once, about 44 MB. The directory appears whole or not
    at all, and a second process waits for the first one's download.

    Raises:
        BrokerError: Maven is missing or failed, or *cache_dir* holds something else.
    """
    target = (cache_dir or jars_dir()).resolve()
    witness = target / f"kafka_2.13-{_KAFKA}.jar"
    if witness.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not witness.exists():
            _download_jars(target)
    return target


def _download_jars(target: Path) -> None:
    if target.exists() and any(target.iterdir()):
        raise BrokerError(f"{target} holds other files than Kafka {_KAFKA}: remove it")
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f"{target.name}.") as scratch:
        jars = Path(scratch) / "jars"
        pom = Path(scratch) / "pom.xml"
        pom.write_text(_POM)
        plugin = f"org.apache.maven.plugins:maven-dependency-plugin:{_DEPENDENCY_PLUGIN}"
        wanted = ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        _run("mvn", "-B", "-q", "-f", str(pom), f"{plugin}:copy-dependencies", *wanted)
        jars.rename(target)


@frozen
class Identity:
    """A certificate and its key, PEM files both."""

    certificate: Path
    key: Path


@frozen(kw_only=True)
class Certificates:
    """
    What TLS tests present and trust.

    Attributes:
        ca: Signed the broker's certificate, *client* and *expired*.
        other_ca: Signed *stranger*; the broker does not trust it.
        client: Accepted by the listener ``mtls``.
        locked: The same, its key encrypted with `KEY_PASSWORD`.
        stranger: Refused: the broker does not know who signed it.
        expired: Refused: its time is over.
    """

    ca: Path
    other_ca: Path
    client: Identity
    locked: Identity
    stranger: Identity
    expired: Identity


class KafkaBroker:
    """
    One Apache Kafka node; used by one thread.

    Whoever creates it calls `destroy` in the end.

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
        self._protocols = _ALWAYS | _SECURE if security else _ALWAYS
        self._security = security
        self._properties = dict(properties or {})
        self._jars = jars
        self._ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._admin: AdminClient | None = None

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
        return f"127.0.0.1:{self._ports[listener]}"

    @property
    def certificates(self) -> Certificates:
        """The files for ``mtls`` and ``scram``, there after the first `start` with security."""
        tls = self.root / "tls"
        return Certificates(
            ca=tls / "ca.pem",
            other_ca=tls / "other-ca.pem",
            client=_identity(tls, "client"),
            locked=Identity(certificate=tls / "client.pem", key=tls / "locked.key"),
            stranger=_identity(tls, "stranger"),
            expired=_identity(tls, "expired"),
        )

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
            _make_certificates(self.root / "tls")
        self._ports = _choose_ports(self._protocols)
        self.cluster_id = _new_cluster_id()
        settings = self._settings() | self._properties
        (self.root / "server.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in settings.items())
        )
        (self.root / "log4j2.xml").write_text(_LOG4J_CONFIGURATION)
        shutil.rmtree(self.root / "data", ignore_errors=True)
        configuration = str(self.root / "server.properties")
        words = ["format", "--standalone", "-t", self.cluster_id, "-c", configuration]
        if self._security:
            for mechanism in _MECHANISMS:
                words += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        _run(*self._java("kafka.tools.StorageTool", *words))

    def _settings(self) -> dict[str, str]:
        listeners = ",".join(f"{name.upper()}://{self.address(name)}" for name in self._protocols)
        protocols = ",".join(f"{name.upper()}:{spoken}" for name, spoken in self._protocols.items())
        settings = {
            "process.roles": "broker,controller",
            "node.id": str(_NODE_ID),
            "controller.quorum.bootstrap.servers": self.address("controller"),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAIN",
            "listeners": listeners,
            "advertised.listeners": listeners,
            "listener.security.protocol.map": protocols,
            "log.dirs": str(self.root / "data"),
            # After SIGKILL the node is fenced until its old session ends.
            "broker.session.timeout.ms": "1200",
            "broker.heartbeat.interval.ms": "300",
            # One node keeps the only copy of everything.
            "offsets.topic.replication.factor": "1",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            # Small and quick, and nothing happens that a test did not ask for.
            "auto.create.topics.enable": "false",
            "num.partitions": "1",
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "log.cleaner.dedupe.buffer.size": "2097152",
            "log.initial.task.delay.ms": "1000",
            "log.retention.check.interval.ms": "1000",
            "num.io.threads": "2",
            "num.network.threads": "2",
            # A chunk has at most 8 MiB; headers and batches need some more.
            "message.max.bytes": "10485760",
        }
        return settings | self._security_settings() if self._security else settings

    def _security_settings(self) -> dict[str, str]:
        settings = {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self.root / "tls" / "keystore.pem"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.ca),
            "listener.name.mtls.ssl.client.auth": "required",
            "listener.name.misnamed.ssl.client.auth": "required",
            "listener.name.misnamed.ssl.keystore.location": str(self.root / "tls" / "misnamed.pem"),
            "listener.name.scram.ssl.client.auth": "none",
            "listener.name.password.ssl.client.auth": "none",
            "listener.name.password.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.password.plain.sasl.jaas.config": (
                f'{_LOGIN_MODULES}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            ),
            "authorizer.class.name": _AUTHORIZER,
            # Whoever comes by the plain listener: our administrator, and the broker itself.
            "super.users": "User:ANONYMOUS",
        }
        login = f"{_LOGIN_MODULES}.scram.ScramLoginModule required;"
        for listener in ("scram", "sasl"):
            prefix = f"listener.name.{listener}"
            settings[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(_MECHANISMS)
            for mechanism in _MECHANISMS:
                settings[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = login
        return settings

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
                [_program(command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if problem := self._await_service():
            self.kill()
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            kind = _PortTakenError if "Address already in use" in said else BrokerError
            raise kind(f"{problem}; the end of {self._log}:\n{_tail(said)}")

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
        return is_ours and {_NODE_ID, *leaders} <= answer.brokers.keys()

    def _await_partitions(self, topic: str, count: int) -> None:
        eventually(
            lambda: self._leaders().get(topic) == [_NODE_ID] * count,
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


def _identity(tls: Path, name: str) -> Identity:
    return Identity(certificate=tls / f"{name}.pem", key=tls / f"{name}.key")


def _make_certificates(tls: Path) -> None:
    """Fill *tls* with two authorities, the broker's store and the clients' identities."""
    tls.mkdir()
    _make_authority(tls, "ca")
    _make_authority(tls, "other-ca")
    _make_leaf(tls, "server", issuer="ca", usage="serverAuth")
    _make_leaf(tls, "client", issuer="ca", usage="clientAuth")
    _make_leaf(tls, "stranger", issuer="other-ca", usage="clientAuth")
    _make_leaf(tls, "expired", issuer="ca", usage="clientAuth", days=-1)
    _make_leaf(tls, "other", issuer="ca", usage="serverAuth", names="DNS:other.example")
    for store, name in (("keystore", "server"), ("misnamed", "other")):
        shown = _identity(tls, name)
        text = shown.key.read_text() + shown.certificate.read_text()
        (tls / f"{store}.pem").write_text(text)
    files = ["-in", str(tls / "client.key"), "-out", str(tls / "locked.key")]
    cipher = ["-v2", "aes-256-cbc", "-passout", f"pass:{KEY_PASSWORD}"]
    _run("openssl", "pkcs8", "-topk8", *cipher, *files)


def _make_authority(tls: Path, name: str) -> None:
    files = ["-keyout", str(tls / f"{name}.key"), "-out", str(tls / f"{name}.pem")]
    subject = ["-days", "30", "-subj", f"/CN=filesync-test-{name}"]
    _run("openssl", "req", "-x509", *_NEW_KEY, *subject, *files)


def _make_leaf(
    tls: Path, name: str, *, issuer: str, usage: str, names: str = _LOOPBACK, days: int = 30
) -> None:
    made, signer = _identity(tls, name), _identity(tls, issuer)
    request, extensions = tls / f"{name}.csr", tls / f"{name}.ext"
    extensions.write_text(f"subjectAltName = {names}\nextendedKeyUsage = {usage}\n")
    files = ["-keyout", str(made.key), "-out", str(request)]
    _run("openssl", "req", *_NEW_KEY, "-subj", f"/CN={name}", *files)
    signing = ["-CA", str(signer.certificate), "-CAkey", str(signer.key), "-CAcreateserial"]
    contents = ["-days", str(days), "-extfile", str(extensions)]
    files = ["-in", str(request), "-out", str(made.certificate)]
    _run("openssl", "x509", "-req", *signing, *contents, *files)


def _new_cluster_id() -> str:
    """Return what Kafka takes for a cluster: 16 bytes as URL-safe base64, no dash in front."""
    return base64.urlsafe_b64encode(b"filesync" + os.urandom(8)).decode().rstrip("=")


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


def _program(name: str) -> str:
    """Return the path of a program, or say which package has it."""
    if path := shutil.which(name):
        return path
    raise BrokerError(f"{name} is missing: on Debian, apt-get install {_PACKAGES[name]}")


def _run(program: str, *arguments: str) -> str:
    """Run a program to its end and return what it printed."""
    done = subprocess.run(
        [_program(program), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        called = " ".join([program, *arguments])
        said = _tail(done.stdout + done.stderr)
        raise BrokerError(f"{called}: exit status {done.returncode}\n{said}")
    return done.stdout


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-30:])
