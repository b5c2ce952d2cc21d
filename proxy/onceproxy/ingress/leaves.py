"""Certificates for the hosts whose tunnels are opened, made on demand and kept for a while.

The counterpart of ``authority``, which they are signed with.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from onceproxy.core.limits import Limit, OverLimit
from onceproxy.ingress.authority import SKEW, Authority, key_usage
from onceproxy.ingress.constraints import permits

LEAF_LIFE = timedelta(days=6)
RENEW_BEFORE = timedelta(days=1)
MAX_ENTRIES = 1024  # each some 25 KiB, most of it OpenSSL's
PER_MINUTE = 600
COMMON_NAME_LENGTH = 64  # RFC 5280, appendix A: ub-common-name

_PEM = serialization.Encoding.PEM
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label is never a number in DNS. `127.1` and `0x7f.1` are addresses to some clients and names to
# others, so no certificate is right for them.
_NAME = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)*(?![0-9]+\Z|0x[0-9a-f]*\Z){_LABEL}")


def _now() -> datetime:
    return datetime.now(UTC)


class LeafCerts:
    """Server contexts by host. At most ``max_entries`` are kept, those used last; safe to call in threads.

    ``per_minute``: how many are made; as many may be made at once. ``hit`` is told when one is not made for
    that. ``clock`` tells the time, which must have a time zone.
    """

    def __init__(
        self,
        authority: Authority,
        *,
        max_entries: int = MAX_ENTRIES,
        per_minute: int = PER_MINUTE,
        hit: Callable[[Limit], None] = lambda limit: None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._authority = authority
        self._max_entries = max_entries
        self._per_minute = per_minute
        self._hit = hit
        self._clock = clock
        self._may_make, self._counted_at = float(per_minute), clock()
        # One key for all leaves: it never leaves this process, and making one costs more than signing.
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: OrderedDict[x509.GeneralName, tuple[datetime, ssl.SSLContext]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._contexts)

    def context_for(self, host: str) -> ssl.SSLContext:
        """Return a TLS server context with a certificate for ``host``, a name or an IP address.

        Raises:
            ValueError: no certificate can be made out for that.
            OverLimit: too many others were made just now.
        """
        name = _general_name(host)
        if not permits((self._authority.certificate, *self._authority.chain), name):
            raise ValueError(
                f"the local CA may not sign for {host[:80]!r} (name constraints); name it under "
                "tls.passthrough, or make another CA (onceproxy ca new)"
            )
        with self._lock:
            now = self._clock()
            known = self._contexts.get(name)
            if known is not None and now < known[0]:
                self._contexts.move_to_end(name)
                return known[1]
            self._count_one(now)
            expires = now + LEAF_LIFE
            context = self._context(self._certificate(name, now, expires))
            context.sni_callback = partial(_for_one_name, str(name.value))
            self._contexts[name] = (expires - RENEW_BEFORE, context)
            self._contexts.move_to_end(name)
            while len(self._contexts) > self._max_entries:
                self._contexts.popitem(last=False)
            return context

    def _count_one(self, now: datetime) -> None:
        passed = max(0.0, (now - self._counted_at).total_seconds())  # clocks of machines are set back
        self._may_make = min(self._per_minute, self._may_make + passed * self._per_minute / 60)
        self._counted_at = now
        if self._may_make < 1:
            self._hit(Limit.CERTIFICATES_PER_MINUTE)
            raise OverLimit(
                Limit.CERTIFICATES_PER_MINUTE,
                "As many certificates as may be were made just now. Nothing was sent. Retry later: it is "
                "safe (limits.certificates_per_minute).",
            )
        self._may_make -= 1

    def _certificate(self, name: x509.GeneralName, now: datetime, expires: datetime) -> x509.Certificate:
        issuer = self._authority.certificate
        issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            x509.CertificateBuilder()
            .subject_name(_subject(str(name.value)))
            .issuer_name(issuer.subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(min(expires, issuer.not_valid_after_utc))
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), critical=False
            )
            .sign(self._authority.key, hashes.SHA256())
        )

    def _context(self, certificate: x509.Certificate) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        every = (certificate, self._authority.certificate, *self._authority.chain)
        chain = b"".join(one.public_bytes(_PEM) for one in every)
        key = self._key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        with _as_file(key + chain) as path:
            context.load_cert_chain(path)
        return context


def _for_one_name(name: str, tls: object, asked: str | None, context: ssl.SSLContext) -> int | None:
    """Refuse a client that asks in its hello (SNI, RFC 6066 §3) for another host than the tunnel leads to."""
    if asked is None or asked.lower().removesuffix(".") == name:
        return None
    return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME


@contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Yield a path to the bytes, for OpenSSL, which reads files only: in memory, or 0600 and gone at once."""
    if os.path.isdir("/proc/self/fd") and hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("onceproxy-leaf"), "wb") as memory:
            memory.write(data)
            memory.flush()
            yield f"/proc/self/fd/{memory.fileno()}"
        return
    with tempfile.NamedTemporaryFile(prefix="onceproxy-leaf-") as file:
        file.write(data)
        file.flush()
        yield file.name


def _general_name(host: str) -> x509.GeneralName:
    """Return what a certificate calls a host; hosts that are the same to DNS have the same."""
    host = host.lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if "%" in host:
            raise ValueError(f"{host[:80]!r} has a zone, which is for this machine alone")
        return x509.IPAddress(address)
    host = host.removesuffix(".")
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if not _NAME.fullmatch(host):
        raise ValueError(f"{host[:80]!r} is no host name")
    return x509.DNSName(host)


def _subject(name: str) -> x509.Name:
    # Clients look at the alternative names. A common name that was cut short would be somebody else's.
    if len(name) > COMMON_NAME_LENGTH:
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "onceproxy")])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
