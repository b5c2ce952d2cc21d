"""The shipped presets: what each makes of requests in the shape that the vendors' SDKs send."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from onceproxy.config.contradictions import contradictions
from onceproxy.config.document import read_document
from onceproxy.config.model import Settings
from onceproxy.config.routing import route_table
from onceproxy.config.shipped import load_preset, preset_file, preset_names
from onceproxy.core.messages import Request
from onceproxy.core.policies import InDoubt
from onceproxy.core.routes import Route
from onceproxy.core.rules import BodyForm, Place, Source
from onceproxy.core.shadows import shadows
from unit.config.loading import problems_of, settings_of
from unit.config.requests import a_request

ROOT = Path(__file__).parents[3]
FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"
LIST = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
CALL = '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "pay"}}'
QUERY = '{"query": "{ orders { id } }"}'
NAMES = preset_names()


def route_for(request: Request, *presets: str) -> Route:
    return route_table(Settings(presets=presets)).find(request)


def test_there_are_the_presets_that_the_docs_name() -> None:
    docs = (ROOT / "docs" / "routes.md").read_text("utf-8")

    section = docs[docs.index("## Presets") :]
    assert re.findall(r"^\| `([\w-]+)` \| (.+) \|$", section, re.MULTILINE) == [
        (name, load_preset(name).about) for name in NAMES
    ]


def test_the_files_are_those_of_the_repository() -> None:
    for name in NAMES:
        assert preset_file(name).resolve() == ROOT / "config" / "presets" / f"{name}.yaml"
    assert sorted(path.name for path in (ROOT / "config" / "presets").iterdir()) == [
        f"{n}.yaml" for n in NAMES
    ]


def test_the_wheel_takes_them_along() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"config/presets": "onceproxy/config/presets"}


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_and_says_what_it_rests_on(name: str) -> None:
    document = read_document(preset_file(name))

    assert document.repeated == []
    assert list(contradictions(document.values)) == []
    assert preset_file(name).read_text("utf-8").startswith("# ")
    assert all(route.name.split("/")[0] == name for route in load_preset(name).routes)
    assert list(shadows(route_table(Settings(presets=(name,))).routes)) == []


@pytest.mark.parametrize("name", NAMES)
def test_only_what_the_vendor_deduplicates_is_sent_again(name: str) -> None:
    resent = {
        "stripe/post",
        *("paypal/orders", "paypal/payments"),
        *("adyen/post", "resend/emails", "zendesk/tickets"),
        *("aws/run-instances", "azure/repeatable", "gcp/bigquery"),
    }
    for route in route_table(Settings(presets=(name,))).routes:
        assert (route.policy.in_doubt is InDoubt.RESEND) is (route.name in resent)
        if route.policy.in_doubt is InDoubt.RESEND:
            # A copy without any key would not be recognised.
            assert route.identity.inject_key or route.match.form or route.match.json or route.match.headers


@pytest.mark.parametrize(
    ("request_", "name", "guarded"),
    [
        (a_request("POST", "https://api.stripe.com/v1/charges", FORM, body="amount=1"), "stripe/post", True),
        (a_request("GET", "https://api.stripe.com/v1/charges"), "default", False),
        (a_request("DELETE", "https://api.stripe.com/v1/customers/c"), "default", True),
        (a_request("POST", "https://api.stripe.com/v2/billing/x", JSON), "default", True),
        (a_request("POST", "https://api-m.paypal.com/v1/oauth2/token", FORM), "paypal/token", False),
        (
            a_request("POST", "https://api-m.sandbox.paypal.com/v2/checkout/orders", JSON),
            "paypal/orders",
            True,
        ),
        (a_request("POST", "https://api-m.paypal.com/v2/checkout/orders/5O/capture"), "paypal/orders", True),
        (
            a_request("POST", "https://api-m.paypal.com/v2/payments/captures/2G/refund"),
            "paypal/payments",
            True,
        ),
        (a_request("POST", "https://api-m.paypal.com/v1/payments/payouts"), "paypal/other", True),
        (a_request("POST", "https://connect.squareup.com/v2/payments", JSON), "square/writes", True),
        (a_request("POST", "https://connect.squareup.com/v2/orders/search", JSON), "square/reads", False),
        (
            a_request("POST", "https://connect.squareup.com/v2/catalog/search-catalog-items"),
            "square/reads",
            False,
        ),
        (a_request("POST", "https://checkout-test.adyen.com/v71/payments", JSON), "adyen/post", True),
        (
            a_request(
                "POST", "https://1797a841fbb37ca7-X-checkout-live.adyenpayments.com/checkout/v71/payments"
            ),
            "adyen/post",
            True,
        ),
        (a_request("POST", "https://api.openai.com/v1/chat/completions", JSON), "openai/inference", False),
        (a_request("POST", "https://api.openai.com/v1/responses", JSON), "openai/inference", False),
        (a_request("POST", "https://api.openai.com/v1/responses/r/cancel"), "default", True),
        (a_request("POST", "https://api.openai.com/v1/batches", JSON), "default", True),
        (a_request("POST", "https://api.openai.com/v1/realtime/client_secrets"), "openai/realtime", False),
        (a_request("POST", "https://api.anthropic.com/v1/messages?beta=true"), "anthropic/inference", False),
        (a_request("POST", "https://api.anthropic.com/v1/messages/batches"), "default", True),
        (a_request("POST", "https://slack.com/api/chat.postMessage", JSON), "slack/writes", True),
        (a_request("POST", "https://slack.com/api/conversations.list", FORM), "slack/reads", False),
        (a_request("POST", "https://slack.com/api/users.profile.get", FORM), "slack/reads", False),
        (a_request("POST", "https://slack.com/api/apps.connections.open"), "slack/connections", False),
        (a_request("POST", "https://slack.com/api/files.getUploadURLExternal"), "slack/writes", True),
        (a_request("POST", "https://hooks.slack.com/services/T/B/x", JSON), "slack/webhooks", True),
        (a_request("POST", "https://api.sendgrid.com/v3/mail/send", JSON), "sendgrid/mail", True),
        (
            a_request("POST", "https://api.twilio.com/2010-04-01/Accounts/AC/Messages.json"),
            "twilio/post",
            True,
        ),
        (a_request("POST", "https://verify.twilio.com/v2/Services/VA/Verifications"), "twilio/verify", True),
        (a_request("POST", "https://api.github.com/repos/o/r/issues", JSON), "github/writes", True),
        (a_request("POST", "https://api.github.com/markdown", JSON), "github/markdown", False),
        (
            a_request("POST", "https://api.github.com/app/installations/1/access_tokens"),
            "github/tokens",
            False,
        ),
        (a_request("POST", "https://api.github.com/graphql", JSON), "github/graphql", True),
        (
            a_request("POST", "https://s.myshopify.com/admin/api/2026-01/graphql.json"),
            "shopify/graphql",
            True,
        ),
        (a_request("POST", "https://s.myshopify.com/admin/api/2026-01/orders.json"), "shopify/rest", True),
        (a_request("POST", "https://api.example.com/graphql", JSON), "graphql", True),
        (a_request("POST", "https://tools.example.com/mcp", JSON), "mcp", True),
        (a_request("POST", "https://tools.example.com/mcp", JSON, body=LIST), "mcp", False),
        (a_request("POST", "https://tools.example.com/mcp", JSON, body=CALL), "mcp", True),
        (a_request("GET", "https://tools.example.com/mcp"), "mcp", False),
        (a_request("DELETE", "https://tools.example.com/mcp"), "mcp", False),
        (a_request("POST", "https://api.example.com/graphql", JSON, body=QUERY), "graphql", False),
    ],
)
def test_requests_get_their_route(request_: Request, name: str, guarded: bool) -> None:
    host = request_.origin.host
    preset = name.split("/")[0] if name != "default" else next((n for n in NAMES if n in host), "mcp")
    route = route_for(request_, preset)

    assert (route.name, route.guards(request_)) == (name, guarded)


@pytest.mark.parametrize(
    ("headers", "body", "name"),
    [
        (["X-Amz-Target: DynamoDB_20120810.PutItem"], "{}", "aws/writes"),
        (["X-Amz-Target: DynamoDB_20120810.GetItem"], "{}", "aws/reads-json"),
        (["X-Amz-Target: DynamoDB_20120810.Query"], "{}", "aws/reads-json"),
        (["X-Amz-Target: AmazonSQS.ReceiveMessage"], "{}", "aws/no-replay-json"),
        (["X-Amz-Target: AmazonSQS.SendMessage"], "{}", "aws/writes"),
        (["X-Amz-Target: a.ListX", "X-Amz-Target: a.DeleteX"], "{}", "aws/writes"),
        ([FORM], "Action=DescribeInstances&Version=2016-11-15", "aws/reads-query"),
        ([FORM], "Action=RunInstances&ClientToken=t", "aws/run-instances"),
        ([FORM], "Action=RunInstances", "aws/writes"),
        ([FORM], "Action=TerminateInstances", "aws/writes"),
        ([FORM], "Action=DescribeInstances&Action=TerminateInstances", "aws/writes"),
    ],
)
def test_aws_tells_operations_apart(headers: list[str], body: str, name: str) -> None:
    request = a_request("POST", "https://ec2.eu-west-1.amazonaws.com/", *headers, body=body)

    route = route_for(request, "aws")

    assert route.name == name
    if name == "aws/writes":
        # All operations of a service have one URL; a fingerprint without this would make one of them.
        assert route.identity.fingerprint.headers == ("X-Amz-Target",)


def test_keys_are_where_the_vendors_have_them() -> None:
    def keys(url: str, preset: str) -> tuple[Source, ...]:
        return route_for(a_request("POST", url), preset).identity.keys

    header = Source(Place.HEADER, "Idempotency-Key")
    assert keys("https://api.stripe.com/v1/charges", "stripe") == (header,)
    assert keys("https://api-m.paypal.com/v2/checkout/orders", "paypal") == (
        Source(Place.HEADER, "PayPal-Request-Id"),
    )
    assert keys("https://connect.squareup.com/v2/payments", "square") == (
        Source(Place.JSON, "$.idempotency_key"),
    )


def test_protocols_are_read_as_what_they_are() -> None:
    for preset, url, form in (
        ("graphql", "https://a.com/graphql", BodyForm.GRAPHQL),
        ("github", "https://api.github.com/graphql", BodyForm.GRAPHQL),
        ("mcp", "https://a.com/mcp", BodyForm.JSONRPC),
    ):
        assert route_for(a_request("POST", url), preset).identity.fingerprint.body.form is form


def test_the_routes_of_the_file_come_first_and_the_presets_in_their_order() -> None:
    table = route_table(settings_of("presets: [stripe, slack]\nroutes: [{name: a, match: {path: /}}]"))

    assert [route.origin for route in table.routes] == ["routes[0]", "preset stripe", *["preset slack"] * 4]


def test_a_preset_that_there_is_not() -> None:
    [problem] = problems_of("presets: [strpe]")

    assert problem.startswith(
        "f.yaml:2: presets[0]: is 'strpe'; there is no such preset; did you mean stripe? There are"
    )


def test_names_and_lists_do_not_clash() -> None:
    assert problems_of("presets: [stripe, stripe]\nroutes: [{name: stripe/post, match: {path: /}}]") == [
        "f.yaml:2: presets[1]: is there already; the first is enough",
        "f.yaml:3: routes[0].name: is the name of a route of the preset stripe, too; choose another",
    ]


def test_a_preset_inherits_the_defaults_but_not_what_it_says_itself() -> None:
    table = route_table(settings_of("presets: [slack]\ndefaults: {in_doubt: execute, ttl: 1h}"))

    assert {route.policy.ttl for route in table.routes} == {3600.0}
    assert (
        table.find(a_request("POST", "https://slack.com/api/chat.postMessage")).policy.in_doubt
        is InDoubt.REFUSE
    )
