"""Name constraints: the hosts that a CA may sign for, as clients check it (RFC 5280 §4.2.1.10).

A CA with them can't be used against other hosts, whoever gets hold of its key. It is the operator's choice:
the hosts that clients will ask for are not known when the CA is made, and other ones need a new CA.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509

_EVERY_ADDRESS = (x509.IPAddress(IPv4Network("0.0.0.0/0")), x509.IPAddress(IPv6Network("::/0")))


def only_for(names: Iterable[str]) -> x509.NameConstraints:
    """Return the constraint to host names and those below them; addresses are none of them."""
    return x509.NameConstraints([x509.DNSName(name) for name in names], list(_EVERY_ADDRESS))


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the host names that a CA is constrained to; none: it is not."""
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return []
    return [tree.value for tree in constraints.permitted_subtrees or () if isinstance(tree, x509.DNSName)]


def permits(certificates: Iterable[x509.Certificate], name: x509.GeneralName) -> bool:
    """Say whether all of a CA's certificates let it sign for a name."""
    return all(_permits(certificate, name) for certificate in certificates)


def _permits(certificate: x509.Certificate, name: x509.GeneralName) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return True
    allowed = [tree for tree in constraints.permitted_subtrees or () if type(tree) is type(name)]
    excluded = [tree for tree in constraints.excluded_subtrees or () if type(tree) is type(name)]
    return (not allowed or any(_within(name, tree) for tree in allowed)) and not any(
        _within(name, tree) for tree in excluded
    )


def _within(name: x509.GeneralName, tree: x509.GeneralName) -> bool:
    if isinstance(name, x509.IPAddress):
        return name.value in tree.value
    host, base = str(name.value), str(tree.value).lower().removeprefix(".")
    return base == "" or host == base or host.endswith(f".{base}")
