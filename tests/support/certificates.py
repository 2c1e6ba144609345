"""Certificates for TLS tests: two authorities, a broker's, and clients' of every kind."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from support.kafka_programs import run

__all__ = ["CLIENT", "KEY_PASSWORD", "Certificates", "Identity", "make_certificates"]

#: Who `Certificates.client` is to the listeners ``mtls``.
CLIENT = "CN=client"

#: Of the key of `Certificates.locked`.
KEY_PASSWORD = "0pen"

_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

_LOOPBACK = "IP:127.0.0.1, DNS:localhost"


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

    @classmethod
    def of(cls, tls: Path) -> Certificates:
        """Return those that `make_certificates` puts into the directory *tls*."""
        return cls(
            ca=tls / "ca.pem",
            other_ca=tls / "other-ca.pem",
            client=_identity(tls, "client"),
            locked=Identity(certificate=tls / "client.pem", key=tls / "locked.key"),
            stranger=_identity(tls, "stranger"),
            expired=_identity(tls, "expired"),
        )


def _identity(tls: Path, name: str) -> Identity:
    return Identity(certificate=tls / f"{name}.pem", key=tls / f"{name}.key")


def make_certificates(tls: Path) -> None:
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
    run("openssl", "pkcs8", "-topk8", *cipher, *files)


def _make_authority(tls: Path, name: str) -> None:
    files = ["-keyout", str(tls / f"{name}.key"), "-out", str(tls / f"{name}.pem")]
    subject = ["-days", "30", "-subj", f"/CN=filesync-test-{name}"]
    run("openssl", "req", "-x509", *_NEW_KEY, *subject, *files)


def _make_leaf(
    tls: Path, name: str, *, issuer: str, usage: str, names: str = _LOOPBACK, days: int = 30
) -> None:
    made, signer = _identity(tls, name), _identity(tls, issuer)
    request, extensions = tls / f"{name}.csr", tls / f"{name}.ext"
    extensions.write_text(f"subjectAltName = {names}\nextendedKeyUsage = {usage}\n")
    files = ["-keyout", str(made.key), "-out", str(request)]
    run("openssl", "req", *_NEW_KEY, "-subj", f"/CN={name}", *files)
    signing = ["-CA", str(signer.certificate), "-CAkey", str(signer.key), "-CAcreateserial"]
    contents = ["-days", str(days), "-extfile", str(extensions)]
    files = ["-in", str(request), "-out", str(made.certificate)]
    run("openssl", "x509", "-req", *signing, *contents, *files)
