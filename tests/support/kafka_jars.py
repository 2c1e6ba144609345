"""Kafka's jars: where they are, and where they come from."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from support.kafka_programs import BrokerError, run

__all__ = ["ensure_jars", "jars_dir"]

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
        run("mvn", "-B", "-q", "-f", str(pom), f"{plugin}:copy-dependencies", *wanted)
        jars.rename(target)
