"""The settings that a broker starts with: its listeners, its bounds, who may come in."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from support.certificates import Certificates

__all__ = [
    "LOG4J_CONFIGURATION",
    "MECHANISMS",
    "NODE_ID",
    "PASSWORD",
    "USER",
    "address",
    "new_cluster_id",
    "protocols",
    "server_properties",
]

#: A user of the listeners ``scram`` and ``sasl``, with both SCRAM digests, and of ``password``.
USER, PASSWORD = "alice", "s3cret"

NODE_ID = 1

#: Of SCRAM.
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-512")

LOG4J_CONFIGURATION = """\
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

_ALWAYS = {"plain": "PLAINTEXT", "controller": "PLAINTEXT"}
_SECURE = {
    "mtls": "SSL",
    "misnamed": "SSL",
    "scram": "SASL_SSL",
    "password": "SASL_SSL",
    "sasl": "SASL_PLAINTEXT",
}

_LOGIN_MODULES = "org.apache.kafka.common.security"
_AUTHORIZER = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"


def protocols(*, security: bool) -> dict[str, str]:
    """Return what each listener speaks."""
    return _ALWAYS | _SECURE if security else _ALWAYS


def address(ports: Mapping[str, int], listener: str) -> str:
    """Return ``host:port`` of a listener."""
    return f"127.0.0.1:{ports[listener]}"


def new_cluster_id() -> str:
    """Return what Kafka takes for a cluster: 16 bytes as URL-safe base64, no dash in front."""
    return base64.urlsafe_b64encode(b"filesync" + os.urandom(8)).decode().rstrip("=")


def server_properties(root: Path, ports: Mapping[str, int], *, security: bool) -> dict[str, str]:
    """
    Return the settings of a broker, in Kafka's words.

    Args:
        root: Its data goes to ``data``; its certificates are in ``tls``.
        ports: Those of its listeners, by the names that `protocols` gives them.
        security: Whether it has more listeners than the plain ones.
    """
    spoken = protocols(security=security)
    listeners = ",".join(f"{name.upper()}://{address(ports, name)}" for name in spoken)
    words = ",".join(f"{name.upper()}:{word}" for name, word in spoken.items())
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(NODE_ID),
        "controller.quorum.bootstrap.servers": address(ports, "controller"),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAIN",
        "listeners": listeners,
        "advertised.listeners": listeners,
        "listener.security.protocol.map": words,
        "log.dirs": str(root / "data"),
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
    return settings | _security_properties(root) if security else settings


def _security_properties(root: Path) -> dict[str, str]:
    settings = {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(root / "tls" / "keystore.pem"),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(Certificates.of(root / "tls").ca),
        "listener.name.mtls.ssl.client.auth": "required",
        "listener.name.misnamed.ssl.client.auth": "required",
        "listener.name.misnamed.ssl.keystore.location": str(root / "tls" / "misnamed.pem"),
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
        settings[f"{prefix}.sasl.enabled.mechanisms"] = ",".join(MECHANISMS)
        for mechanism in MECHANISMS:
            settings[f"{prefix}.{mechanism.lower()}.sasl.jaas.config"] = login
    return settings
