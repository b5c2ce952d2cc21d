"""What a route says about identity: where the key is, what the fingerprint covers, whose the action is.

Only the rules; ``identity`` applies them. The defaults are what holds where no route says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from onceproxy.core.masking import NOTHING_MORE, SecretRules


class Place(StrEnum):
    """Where in a request a value is found."""

    HEADER = "header"
    QUERY = "query"
    FORM = "form"
    JSON = "json"  # named by a JSONPath (RFC 9535) that selects one string or number


@dataclass(frozen=True, slots=True)
class Source:
    """A value's place, and its name there."""

    place: Place
    name: str


class Missing(StrEnum):
    """What a request without a key is."""

    FINGERPRINT = "fingerprint"  # an action all the same, known by its fingerprint
    REJECT = "reject"  # refused with 400 missing-key
    PASS = "pass"  # noqa: S105 (no password: it is passed through, unguarded)


class FreshKey(StrEnum):
    """What becomes of a request that was just seen, and comes again under another key."""

    ALLOW = "allow"
    WARN = "warn"  # sent, and counted and logged
    HOLD = "hold"  # refused with 409 looks-repeated


class InjectAs(StrEnum):
    """How our request_id is spelled as a key: some APIs take no more than 36 or 45 characters."""

    REQUEST_ID = "request_id"  # whole: 56 characters
    UUID = "uuid"  # its first 122 bits, in 36 characters


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of many named things count. ``include`` None is all of them; ``exclude`` is taken off after.

    Where something that ``include`` names is not there, all things count but the excluded ones: what is left
    could be the same for requests that are not. So ``include`` is for what each request has.
    """

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()


ALL = Selection()
NONE = Selection(include=())


@dataclass(frozen=True, slots=True)
class ToolRules:
    """What a route says of tools of MCP, those whose name fits one of the globs ``names``.

    ``guard`` false: they only read, and pass. ``arguments``: JSONPaths into the arguments, of what counts.
    """

    names: tuple[str, ...]
    guard: bool = True
    arguments: Selection = ALL


TOOL_CALL = "tools/call"
"""The method by which MCP calls a tool: the one of its methods that is an action."""


@dataclass(frozen=True, slots=True)
class JsonRpcRules:
    """Which calls of JSON-RPC are actions.

    ``methods`` are globs. ``tools`` are for ``tools/call``; the first that fits counts, and a tool that none
    fits is an action. ``trust_annotations``: tools pass that the server calls read-only, and those that it
    calls idempotent are sent again where nobody knows what became of them.
    """

    methods: Selection = Selection(include=(TOOL_CALL,))
    tools: tuple[ToolRules, ...] = ()
    trust_annotations: bool = False


class BodyForm(StrEnum):
    """How a body is read for the fingerprint."""

    AUTO = "auto"  # by its media type
    NONE = "none"  # not at all
    JSON = "json"
    FORM = "form"
    GRAPHQL = "graphql"
    JSONRPC = "jsonrpc"


@dataclass(frozen=True, slots=True)
class BodyRules:
    """How a body is read, and which of its members count: JSONPaths for JSON, names for forms.

    ``members`` go with all forms but ``AUTO`` and ``NONE``; for GraphQL and JSON-RPC they are JSONPaths into
    each operation or message. A body that can't be read so is read whole, as ``AUTO`` does.
    """

    form: BodyForm = BodyForm.AUTO
    members: Selection = ALL
    jsonrpc: JsonRpcRules = JsonRpcRules()


@dataclass(frozen=True, slots=True)
class FingerprintRules:
    """What the fingerprint covers besides method, origin and path. ``headers`` are names."""

    query: Selection = ALL
    headers: tuple[str, ...] = ()
    body: BodyRules = field(default_factory=BodyRules)


KEY_HEADER = Source(Place.HEADER, "Idempotency-Key")
PROXY_USER = "proxy_user"
"""The scope that is the name of the proxy's user."""


@dataclass(frozen=True, slots=True)
class IdentityRules:
    """What makes two requests of a route the same action.

    ``keys`` are tried in order. ``strict``: a header's key must be a string of RFC 9651. ``namespace`` keeps
    the keys of routes apart that share an origin; routes without one share theirs. ``scope`` holds
    ``PROXY_USER`` and sources. ``any_credential``: a receipt answers whatever upstream credential a copy
    carries. ``fresh_key`` looks back ``fresh_key_window`` seconds (more than 0). ``inject_key``: the header
    or the JSON member (``$.name``, ``$.outer.name``) by which our request_id goes upstream when the client
    sent no key, spelled as ``inject_as`` says. ``secrets``: what people and the store are not shown of it.
    """

    keys: tuple[Source, ...] = (KEY_HEADER,)
    strict: bool = False
    namespace: str = ""
    missing: Missing = Missing.FINGERPRINT
    fingerprint: FingerprintRules = field(default_factory=FingerprintRules)
    scope: tuple[str | Source, ...] = (PROXY_USER,)
    any_credential: bool = False
    fresh_key: FreshKey = FreshKey.ALLOW
    fresh_key_window: float = 3600.0
    inject_key: Source | None = None
    inject_as: InjectAs = InjectAs.REQUEST_ID
    secrets: SecretRules = NOTHING_MORE
