"""From settings to the files of TLS: the CA that tunnels are opened with, and who we are to upstreams."""

from __future__ import annotations

import os
from pathlib import Path

from onceproxy.config.model import Settings
from onceproxy.core.credential import credential_digest
from onceproxy.core.messages import Request
from onceproxy.core.rules import IdentityRules
from onceproxy.ingress.authority import Authority
from onceproxy.upstream.tls import BadTlsFile, ClientCertificate, UpstreamTls


def ca_directory(settings: Settings) -> Path:
    """Return where the local CA of a configuration lives."""
    return settings.data_dir.absolute() / "ca"


def local_authority(settings: Settings) -> Authority:
    """Return the CA that tunnels are opened with; one of our own is made where there is none.

    Raises:
        AuthorityError: it can't be used.
        BadTlsFile: its key's password is missing.
    """
    directory, supplied = ca_directory(settings), settings.tls.ca
    if supplied.cert is None or supplied.key is None:
        return Authority.load_or_create(directory)
    password = _password(supplied.password_env, "tls.ca")
    return Authority.load_supplied(directory, supplied.cert, supplied.key, password)


def upstream_tls(settings: Settings) -> UpstreamTls:
    """Return the TLS that upstreams are spoken to with.

    Raises:
        BadTlsFile: a file of it can't be used.
    """
    certificates = []
    for at, section in enumerate(settings.tls.client_certificates):
        password = _password(section.password_env, f"tls.client_certificates[{at}]")
        certificates.append(
            ClientCertificate(section.host, section.cert, section.key, password, section.name)
        )
    return UpstreamTls(settings.tls.upstream_ca, certificates)


def _password(variable: str | None, setting: str) -> str | None:
    if variable is None:
        return None
    if variable not in os.environ:
        raise BadTlsFile(f"{setting}.password_env: the environment has no {variable}; set it")
    return os.environ[variable]


def credential_of(key: bytes, tls: UpstreamTls, request: Request, rules: IdentityRules) -> bytes:
    """Return the keyed digest of what the upstream is shown: the request's credential, our certificate."""
    ours = tls.identity_for(request.origin, request.client_certificate)
    return credential_digest(key, request.headers, rules, ours)
