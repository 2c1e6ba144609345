"""
Passwords, keys and certificates: files that are looked at before any connection is made.

No message tells more of a secret than the path of its file.
"""

from __future__ import annotations

import hashlib

from attrs import field, frozen

from filesync import Settings
from filesync.exceptions import TransportError

__all__ = ["Login", "TlsFiles", "fingerprint", "read_login", "read_secret", "read_tls"]

#: Bytes that are read of a file.
_MOST = 1024 * 1024


@frozen(kw_only=True)
class TlsFiles:
    """
    What TLS needs; each file was there and was not empty.

    Attributes:
        ca: Path of the authorities' certificates; None: those of the system.
        cert: Path of our certificate, and of what leads to its authority.
        key: Path of our key; None: it is in *cert*.
        key_password: Of an encrypted key.
    """

    ca: str | None
    cert: str | None
    key: str | None
    key_password: str | None = field(repr=False)


@frozen(kw_only=True)
class Login:
    """
    Who we are to the brokers, by SASL.

    Attributes:
        mechanism: In capitals.
        username: Who.
        password: Of that user.
    """

    mechanism: str
    username: str
    password: str = field(repr=False)


def read_tls(settings: Settings) -> TlsFiles:
    """
    Return what *settings* say of TLS.

    Raises:
        TransportError: A file cannot be read or is empty; the message names
            the setting and the file.
    """
    kafka = settings.kafka
    for path, setting in (
        (kafka.ca_file, "ca-file"),
        (kafka.cert_file, "cert-file"),
        (kafka.key_file, "key-file"),
    ):
        if path is not None and not _read(path, setting).strip():
            raise TransportError(f"kafka.{setting}: {path} is empty", key=f"kafka.{setting}")
    password = kafka.key_password_file
    return TlsFiles(
        ca=kafka.ca_file,
        cert=kafka.cert_file,
        key=kafka.key_file,
        key_password=None if password is None else read_secret(password, "key-password-file"),
    )


def read_login(settings: Settings) -> Login:
    """
    Return what *settings* say of SASL.

    Raises:
        TransportError: A setting is missing, or the password's file cannot be used.
    """
    kafka = settings.kafka
    if not kafka.sasl_mechanism or not kafka.sasl_username or not kafka.sasl_password_file:
        raise TransportError(
            f"kafka.security-protocol: {kafka.security_protocol.value} needs sasl-mechanism, "
            "sasl-username and sasl-password-file"
        )
    return Login(
        mechanism=kafka.sasl_mechanism,
        username=kafka.sasl_username,
        password=read_secret(kafka.sasl_password_file, "sasl-password-file"),
    )


def read_secret(path: str, setting: str) -> str:
    """
    Return what the file *path* holds, without one newline at its end.

    Raises:
        TransportError: It cannot be read, is empty or is not text; *setting*
            is named as what to change.
    """
    content = _read(path, setting).removesuffix(b"\n").removesuffix(b"\r")
    if not content:
        raise TransportError(f"kafka.{setting}: {path} is empty", key=f"kafka.{setting}")
    try:
        return content.decode()
    except UnicodeDecodeError as exc:
        raise TransportError(
            f"kafka.{setting}: {path} is not UTF-8 text", key=f"kafka.{setting}"
        ) from exc


def fingerprint(settings: Settings) -> bytes:
    """
    Return 32 bytes that are others when a password, key or certificate was replaced.

    Raises:
        TransportError: A file cannot be read.
    """
    kafka = settings.kafka
    digest = hashlib.sha256()
    for path, setting in (
        (kafka.ca_file, "ca-file"),
        (kafka.cert_file, "cert-file"),
        (kafka.key_file, "key-file"),
        (kafka.key_password_file, "key-password-file"),
        (kafka.sasl_password_file, "sasl-password-file"),
    ):
        if path is not None:
            content = _read(path, setting)
            digest.update(b"%d:%b" % (len(content), content))
    return digest.digest()


def _read(path: str, setting: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_MOST)
    except OSError as exc:
        raise TransportError(
            f"kafka.{setting}: cannot read {path}: {exc.strerror}", key=f"kafka.{setting}"
        ) from exc
