"""TLS towards upstreams: verification is never off."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import certifi
from cryptography import x509

from onceproxy.core.canonical import pack
from onceproxy.core.globs import tls_globs_fit
from onceproxy.core.messages import Origin
from onceproxy.upstream.sessions import TlsContext


class BadTlsFile(Exception):
    """A file of roots, or a client certificate, can't be used; the text names the setting."""


class UnknownCertificate(Exception):
    """A route names a client certificate that was not there when the proxy started."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Who the proxy is to the hosts that a glob names, and on routes that call it by its ``name``.

    ``host`` None: only there. ``password`` is that of the key, where it has one.
    """

    host: str | None
    cert: Path
    key: Path
    password: str | None = None
    name: str | None = None


class UpstreamTls:
    """A context for each client certificate, and one without; all trust the same roots."""

    def __init__(
        self, further_roots: Path | None = None, certificates: Sequence[ClientCertificate] = ()
    ) -> None:
        """Read the files.

        Raises:
            BadTlsFile: one of them can't be used.
        """
        self._plain = TlsContext(upstream_context(further_roots))
        self._own: list[tuple[str, TlsContext, bytes]] = []
        self._named: dict[str, tuple[TlsContext, bytes]] = {}
        for at, certificate in enumerate(certificates):
            setting = f"tls.client_certificates[{at}]"
            bare = upstream_context(further_roots)
            _load(bare, certificate, setting)
            context = TlsContext(bare)
            identity = _identity(certificate.cert, setting)
            if certificate.host is not None:
                self._own.append((certificate.host, context, identity))
            if certificate.name is not None:
                self._named[certificate.name] = context, identity

    def context_for(self, host: str, name: str | None = None) -> TlsContext:
        """Return the context to speak with a host in: as ``name``, else with the first certificate for it.

        Raises:
            UnknownCertificate: none has this name.
        """
        if name is not None:
            if name not in self._named:
                raise UnknownCertificate(
                    f"the client certificate {name} was not there when the proxy started; restart it"
                )
            return self._named[name][0]
        own = self._for(host)
        return self._plain if own is None else own[1]

    def identity_for(self, origin: Origin, name: str | None = None) -> bytes:
        """Return who we are to an upstream by our certificate: the same after it was renewed.

        Empty where it is shown none. A name that none has is somebody else, whom nothing can be sent as.
        """
        if name is not None and origin.scheme == "https":
            return self._named[name][1] if name in self._named else pack((name.encode(),))
        own = self._for(origin.host) if origin.scheme == "https" else None
        return b"" if own is None else own[2]

    def _for(self, host: str) -> tuple[str, TlsContext, bytes] | None:
        return next((own for own in self._own if tls_globs_fit((own[0],), host)), None)


def upstream_context(further_roots: Path | None = None) -> ssl.SSLContext:
    """Return a client context that trusts the system's and certifi's roots, and those of a PEM file.

    Raises:
        BadTlsFile: the file can't be read or holds no certificate.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if further_roots is not None:
        try:
            context.load_verify_locations(further_roots)
        except OSError as error:  # ssl.SSLError is one: no certificate in it
            raise BadTlsFile(f"tls.upstream_ca: {further_roots}: {error.strerror or error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, certificate: ClientCertificate, setting: str) -> None:
    # Asked for a password it was not given, OpenSSL would ask on the terminal.
    password = certificate.password or ""
    try:
        if certificate.key.stat().st_mode & 0o007:
            raise BadTlsFile(f"{setting}.key: {certificate.key}: everyone may read it; `chmod o=` it")
        context.load_cert_chain(certificate.cert, certificate.key, lambda: password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            words = "the key does not belong to the certificate"
        elif "ENCRYPTED" in certificate.key.read_text("latin-1"):
            words = "the key's password is wrong; name the variable that holds it in password_env"
        else:
            words = "these are no certificate and key in PEM"
        raise BadTlsFile(f"{setting}: {certificate.cert}, {certificate.key}: {words}") from None
    except OSError as error:
        raise BadTlsFile(f"{setting}: {error.filename}: {error.strerror}") from None


def _identity(file: Path, setting: str) -> bytes:
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError:
        raise BadTlsFile(f"{setting}.cert: {file}: is no certificate in PEM") from None
    if certificate.not_valid_after_utc < datetime.now(UTC):
        expired = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise BadTlsFile(f"{setting}.cert: {file}: expired on {expired}; put the new one there")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        alternative = names.value.public_bytes()
    except x509.ExtensionNotFound:
        alternative = b""
    return pack((certificate.subject.public_bytes(), alternative))


def ended_in_order(transport: asyncio.BaseTransport) -> bool:
    """Say whether it was the upstream that ended a connection: anyone on the way can close a TCP connection,
    but only the upstream can say so inside TLS (RFC 9112 §9.8).
    """
    encrypted = transport.get_extra_info("ssl_object")
    if encrypted is None:
        return True
    try:
        return bool(encrypted.read(1) == b"")
    except ssl.SSLZeroReturnError:
        return True
    except ssl.SSLError:  # no more bytes, and no farewell among those that came
        return False
