"""The application that all pages of the admin listener are part of, so that none can forget the door.

Whatever is added to it is behind the token, answers a page of another site with nothing, and says to browsers
what they may do with the answer.
"""

from __future__ import annotations

import json
from html import escape
from importlib import resources

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from onceproxy.admin.door import SAFE, SESSION, Door, Knock, Refusal

OPEN = frozenset({"/healthz", "/readyz"})
"""What tells nothing but whether the process lives: for probes, which have no token and any name."""
COOKIE = "onceproxy_admin"
LOGIN, LOGOUT, HOME = "/login", "/logout", "/"
STATIC = "/static/"
"""Files of the package: they tell nothing, and the login is made of them as well."""

# MDN, "HTTP headers", and the OWASP Secure Headers Project say what each is for.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    # With no-referrer browsers say "Origin: null" of our own forms, which the door takes for another site's.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Server": "onceproxy",  # the library's own says which versions run here
}


def guarded_application(door: Door) -> web.Application:
    """Return an application without pages but the login; ``proof_of`` gives pages their csrf token."""
    application = web.Application(middlewares=[_doorkeeper(door)])
    application.on_response_prepare.append(_say_what_browsers_may_do)
    application[_DOOR] = door
    if door.asks:
        application.router.add_get(LOGIN, _show_login)
        application.router.add_post(LOGIN, _login)
        application.router.add_post(LOGOUT, _logout)
    return application


def proof_of(request: web.Request) -> str:
    """Return the csrf token for a page that ``request`` asks for: the value of its forms' ``csrf_token``."""
    return request.app[_DOOR].proof(request.cookies.get(COOKIE, ""))


def asks_for_token(request: web.Request) -> bool:
    """Say whether whoever sees a page had to log in, and so can log out."""
    return request.app[_DOOR].asks


_DOOR: web.AppKey[Door] = web.AppKey("door", Door)


def _doorkeeper(door: Door) -> Middleware:
    @web.middleware
    async def keep(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path in OPEN and request.method in SAFE:
            return await handler(request)
        knock = await _knock(request)
        for_all = door.asks and (request.path == LOGIN or request.path.startswith(STATIC))
        refused = door.stranger(knock) if for_all else door.refusal(knock)
        if refused is None:
            return await handler(request)
        if refused is Refusal.NO_TOKEN and request.method == hdrs.METH_GET and _is_browser(request):
            raise web.HTTPSeeOther(LOGIN)
        return _refused(refused)

    return keep


async def _knock(request: web.Request) -> Knock:
    headers = request.headers
    proof = headers.get("X-CSRF-Token")
    if proof is None and request.content_type == "application/x-www-form-urlencoded":
        proof = await _field(request, "csrf_token")
    return Knock(
        method=request.method,
        host=headers.get(hdrs.HOST, ""),
        origin=headers.get(hdrs.ORIGIN),
        fetch_site=headers.get("Sec-Fetch-Site"),
        authorization=headers.get(hdrs.AUTHORIZATION),
        session=request.cookies.get(COOKIE),
        proof=proof,
    )


async def _field(request: web.Request, name: str) -> str | None:
    try:
        value = (await request.post()).get(name)
    except (LookupError, ValueError):
        return None  # a form in no encoding that there is
    return value if isinstance(value, str) else None


def _is_browser(request: web.Request) -> bool:
    return "text/html" in request.headers.get(hdrs.ACCEPT, "")


def _refused(refused: Refusal) -> web.Response:
    problem = {"title": refused.title, "status": refused.status, "detail": refused.detail}
    response = web.Response(
        status=refused.status, text=json.dumps(problem) + "\n", content_type="application/problem+json"
    )
    if refused.status == 401:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="onceproxy admin"'
    return response


async def _say_what_browsers_may_do(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


async def _show_login(request: web.Request) -> web.Response:
    return _login_page(200, "")


async def _login(request: web.Request) -> web.Response:
    door = request.app[_DOOR]
    token = await _field(request, "token")
    if token is None or not door.is_token(token.strip()):
        return _login_page(401, "That is not the token.")
    response = web.Response(status=303, headers={hdrs.LOCATION: HOME})
    response.set_cookie(COOKIE, door.session(), max_age=SESSION, httponly=True, samesite="Strict")
    return response


async def _logout(request: web.Request) -> web.Response:
    response = web.Response(status=303, headers={hdrs.LOCATION: LOGIN})
    response.del_cookie(COOKIE, httponly=True, samesite="Strict")
    return response


def _login_page(status: int, word: str) -> web.Response:
    page = resources.files(__package__).joinpath("login.html").read_text("utf-8")
    return web.Response(
        status=status, text=page.replace("<!-- word -->", escape(word)), content_type="text/html"
    )
