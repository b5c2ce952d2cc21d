"""What is wrong between settings that are each fine by themselves.

It looks at plain values, not at the model, so that it can speak even where something else is wrong too.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from onceproxy.config.document import KeyPath
from onceproxy.config.encryption import PLACES
from onceproxy.config.hooks import PLACES as SECRET_PLACES
from onceproxy.config.shipped import load_preset, preset_names
from onceproxy.config.values import EMBEDDED

Wrong = Iterator[tuple[KeyPath, str]]

_OUTCOMES = ("completed", "released", "in_doubt")


def contradictions(values: dict[str, Any]) -> Wrong:
    """Yield what does not fit together, with the key to change."""
    listed = values.get("presets")
    presets: list[Any] = listed if isinstance(listed, list) else []
    shipped: dict[str, str] = {}
    for at, preset in enumerate(presets):
        if preset in presets[:at]:
            yield ("presets", at), "is there already; the first is enough"
        elif preset in preset_names():
            shipped |= {route.name: preset for route in load_preset(preset).routes}
    if values.get("database_direct") is not None and values.get("database", EMBEDDED) == EMBEDDED:
        yield ("database_direct",), "is the way past a pooler, and database names none; set that to its URL"
    yield from _keys(values)
    defaults = _mapping(values, "defaults")
    if defaults.get("in_doubt") == "probe":
        yield ("defaults", "in_doubt"), "probe needs a probe, which each route has of its own; set it there"
    yield from _resend(("defaults",), defaults, {})
    yield from _users(values)
    yield from _hooks(values)
    if all(_mapping(values, "admin").get(name) is not None for name in ("token_env", "token_file")):
        yield ("admin", "token_file"), "is the token's second place, besides token_env; keep one"
    authority = _mapping(_mapping(values, "tls"), "ca")
    for one, other in (("cert", "key"), ("key", "cert")):
        if authority.get(one) is not None and authority.get(other) is None:
            yield ("tls", "ca", one), f"needs tls.ca.{other}; a CA is its certificate and its key"
    certificates: dict[str, int] = {}
    yield from _certificates(_mapping(values, "tls").get("client_certificates"), certificates)
    names: dict[str, int] = {}
    routes = values.get("routes")
    for at, route in enumerate(routes if isinstance(routes, list) else []):
        if isinstance(route, dict):
            key: KeyPath = ("routes", at)
            yield from _name(key, route, names, at)
            if isinstance(route.get("name"), str) and route["name"] in shipped:
                preset = shipped[route["name"]]
                yield (*key, "name"), f"is the name of a route of the preset {preset}, too; choose another"
            yield from _certificate(key, route, certificates)
            yield from _guard(key, route)
            yield from _resend(key, route, defaults)
            yield from _probe(key, route, defaults)
            yield from _outcomes(key, _mapping(route, "outcomes"))
            yield from _identity(key, route)


def _certificates(section: Any, names: dict[str, int]) -> Wrong:
    for at, one in enumerate(section if isinstance(section, list) else []):
        if not isinstance(one, dict):
            continue
        key: KeyPath = ("tls", "client_certificates", at)
        name = one.get("name")
        if name is None and one.get("host") is None:
            yield key, "needs a host that it is shown to, or a name that routes call it by"
        if isinstance(name, str) and names.setdefault(name, at) != at:
            yield (
                (*key, "name"),
                f"is the name of tls.client_certificates[{names[name]}], too; each has its own",
            )


def _certificate(key: KeyPath, route: dict[str, Any], names: dict[str, int]) -> Wrong:
    name = route.get("client_certificate")
    if not isinstance(name, str) or name in names:
        return
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {close[0]}?" if close else "give one this name"
    yield (*key, "client_certificate"), f"none of tls.client_certificates has this name; {hint}"


def _users(values: dict[str, Any]) -> Wrong:
    users = values.get("users")
    names: dict[object, int] = {}
    for at, user in enumerate(users if isinstance(users, list) else []):
        if isinstance(user, dict):
            yield from _one_of(("users", at), user, ("password_env", "password_hash", "password_file"))
            name = user.get("name")
            if isinstance(name, str) and names.setdefault(name, at) != at:
                yield ("users", at, "name"), f"is the name of users[{names[name]}], too; each has its own"


def _keys(values: dict[str, Any]) -> Wrong:
    ids: dict[str, int] = {}
    keys = _mapping(values, "encryption").get("keys")
    for at, one in enumerate(keys if isinstance(keys, list) else []):
        if not isinstance(one, dict):
            continue
        key: KeyPath = ("encryption", "keys", at)
        yield from _one_of(key, one, PLACES)
        if isinstance(one.get("id"), str):
            if one["id"] in ids:
                yield (*key, "id"), f"is that of encryption.keys[{ids[one['id']]}], too; each key has its own"
            ids.setdefault(one["id"], at)


def _hooks(values: dict[str, Any]) -> Wrong:
    urls: dict[str, int] = {}
    hooks = values.get("hooks")
    for at, hook in enumerate(hooks if isinstance(hooks, list) else []):
        if isinstance(hook, dict):
            yield from _one_of(("hooks", at), hook, SECRET_PLACES)
            url = hook.get("url")
            if isinstance(url, str) and urls.setdefault(url, at) != at:
                yield ("hooks", at, "url"), f"is that of hooks[{urls[url]}], too; list all its events there"


def _name(key: KeyPath, route: dict[str, Any], names: dict[str, int], at: int) -> Wrong:
    name = route.get("name")
    if not isinstance(name, str):
        return
    if name in names:
        yield (*key, "name"), f"is the name of routes[{names[name]}], too; receipts could not tell them apart"
    names.setdefault(name, at)


def _guard(key: KeyPath, route: dict[str, Any]) -> Wrong:
    match = _mapping(route, "match")
    if "match" in route and isinstance(route["match"], dict) and not any(match.values()):
        yield (
            (*key, "match"),
            "matches everything; name at least a host, a path or methods (path: /** is all)",
        )
    if route.get("guard") is True and not match.get("methods"):
        yield (
            (*key, "guard"),
            "true guards reads, too; name match.methods, or leave it out to guard mutations only",
        )


def _resend(key: KeyPath, section: dict[str, Any], defaults: dict[str, Any]) -> Wrong:
    doubt = _effective("in_doubt", section, defaults)
    if doubt == "resend" and _effective("upstream_window", section, defaults) is None:
        where = "in_doubt" if "in_doubt" in section else None
        if where is not None:
            yield (
                (*key, where),
                "resend needs upstream_window: how long the upstream knows a copy by its key, as in 24h",
            )


def _probe(key: KeyPath, route: dict[str, Any], defaults: dict[str, Any]) -> Wrong:
    doubt, probe = _effective("in_doubt", route, defaults), route.get("probe")
    if doubt == "probe" and probe is None and route.get("in_doubt") == "probe":
        yield (*key, "in_doubt"), "probe needs a probe; write probe: {url: ..., happened: ...}"
    if probe is not None and doubt != "probe":
        yield (*key, "probe"), "is never asked; write in_doubt: probe"


def _outcomes(key: KeyPath, outcomes: dict[str, Any]) -> Wrong:
    seen: dict[int, str] = {}
    for name in _OUTCOMES:
        statuses = outcomes.get(name)
        for at, status in enumerate(statuses if isinstance(statuses, list) else []):
            if not isinstance(status, int):
                continue
            if status in seen:
                where = f"{seen[status]}, too; a status has one outcome"
                yield (*key, "outcomes", name, at), f"is {status}; it is in {where}"
            seen.setdefault(status, name)


def _identity(key: KeyPath, route: dict[str, Any]) -> Wrong:
    identity = _mapping(route, "identity")
    keys = identity.get("key")
    many = isinstance(keys, list)
    found = keys if isinstance(keys, list) else [keys]
    for at, source in enumerate(found):
        if isinstance(source, dict):
            place: KeyPath = (*key, "identity", "key", *((at,) if many else ()))
            yield from _one_of(place, source, ("header", "json", "query", "form"))
            if source.get("strict") is True and "header" not in source:
                yield (*place, "strict"), "is for headers only; a quoted string (RFC 9651) is a header's form"
    headers = [source for source in found if isinstance(source, dict) and "header" in source]
    if len({bool(source.get("strict")) for source in headers}) > 1:
        yield (*key, "identity", "key"), "is strict for one header and not for another; make them the same"
    if isinstance(route.get("inject_key"), dict):
        yield from _one_of((*key, "inject_key"), route["inject_key"], ("header", "json"))
    fingerprint = _mapping(identity, "fingerprint")
    where: KeyPath = (*key, "identity", "fingerprint")
    yield from _include_or_exclude((*where, "query"), fingerprint.get("query"))
    body = fingerprint.get("body")
    if isinstance(body, dict):
        yield from _body((*where, "body"), body)


def _body(key: KeyPath, body: dict[str, Any]) -> Wrong:
    yield from _one_of(key, body, ("json", "form", "graphql", "jsonrpc"))
    for form in ("json", "form", "graphql"):
        yield from _include_or_exclude((*key, form), body.get(form))
    rules = _mapping(body, "jsonrpc")
    where: KeyPath = (*key, "jsonrpc")
    for name in ("methods", "members"):
        yield from _include_or_exclude((*where, name), rules.get(name))
    tools = rules.get("tools")
    for at, tool in enumerate(tools if isinstance(tools, list) else []):
        if isinstance(tool, dict):
            yield from _include_or_exclude((*where, "tools", at, "arguments"), tool.get("arguments"))


def _one_of(key: KeyPath, section: dict[str, Any], names: tuple[str, ...]) -> Wrong:
    if sum(section.get(name) is not None for name in names) != 1:
        yield key, f"must have exactly one of {', '.join(names)}"


def _include_or_exclude(key: KeyPath, section: Any) -> Wrong:
    if isinstance(section, dict) and (section.get("include") is None) == (section.get("exclude") is None):
        yield key, "must have either include or exclude"


def _effective(name: str, section: dict[str, Any], defaults: dict[str, Any]) -> Any:
    value = section.get(name)
    return value if value is not None else defaults.get(name)


def _mapping(values: dict[str, Any], name: str) -> dict[str, Any]:
    value = values.get(name)
    return value if isinstance(value, dict) else {}
