"""What the browser is allowed to call: the origins, methods and headers of the CORS middleware."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from saas_doctor.facts.commands import Starts
from saas_doctor.facts.cors import Cors, CorsMiddleware
from saas_doctor.facts.preflight import Preflight, Reply
from saas_doctor.facts.proxied import Proxied
from saas_doctor.facts.requests import FrontendRequests, Request
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "WEB802",
    needs=("WEB801",),
    symptoms=(
        r"Response to preflight request doesn't pass access control check",
        r"has been blocked by CORS policy",
        r"Disallowed CORS (?:origin|method|headers)",
    ),
)
def gateway_refuses_the_browser(
    preflight: Preflight, platform: Platform, starts: Starts, proxied: Proxied
) -> Iterator[Finding]:
    """The running gateway refuses the front end's calls, or lets strangers call it.

    **Detected** by asking as a browser does (OPTIONS with `Origin`) for each origin of the
    configuration; what counts is the header `access-control-allow-origin`, not the status. Then
    for `http://evil.invalid`, and for the beginning of an origin (`http://localhost`), which passes
    where the origins are one text in place of a list: those two are warnings.
    **To mend**, correct the gateway's CORS middleware, or start it again when the settings were
    changed since.
    **Silent** where the gateway allows everybody without credentials (`*`), while it does not run
    (SVC701), and about the front end's own origins where all its calls go through the proxy of its
    dev server.
    """
    gateway = platform.config.frontend.gateway if platform.config.frontend else "gateway"
    for reply in () if proxied.surely else preflight.developers:
        if not reply.passes:
            yield _refused(reply, preflight.url, gateway, starts.commands.get(gateway, ""))
    for reply in preflight.strangers:
        if reply.allowed == reply.origin:
            yield _stranger(reply, preflight.url, gateway)


def _refused(reply: Reply, url: str, gateway: str, start: str) -> Finding:
    failed = reply.status >= 500
    return Finding(
        f"the {gateway} answers the preflight of {reply.origin} with HTTP {reply.status}"
        if failed
        else f"the {gateway} does not let {reply.origin} call it",
        looked_at=f"OPTIONS {url} with Origin: {reply.origin}, Access-Control-Request-Method: POST, "
        "Access-Control-Request-Headers: authorization,content-type",
        found=str(reply),
        wanted=f"access-control-allow-origin: {reply.origin}",
        target=reply.origin,
        next_step=f"read logs/{gateway}.log: the browser says CORS, the cause is this error"
        if failed
        else f"start the {gateway} again, so that it reads the settings of now: {start}; if that "
        "does not help, look at its CORSMiddleware (allow_origins, allow_methods, allow_headers)",
    )


def _stranger(reply: Reply, url: str, gateway: str) -> Finding:
    part = not reply.origin.endswith(".invalid")
    return Finding(
        f"the {gateway} lets {reply.origin}, "
        + ("a part of an origin," if part else "any stranger")
        + " call it",
        looked_at=f"OPTIONS {url} with Origin: {reply.origin}",
        found=str(reply),
        wanted="no access-control-allow-origin",
        target=reply.origin,
        next_step="give allow_origins a list: a text is searched for parts (split it at the commas)"
        if part
        else "name the origins in allow_origins, in place of * or a pattern for everything",
        severity=Severity.WARNING,
    )


@check("WEB807", severity=Severity.WARNING)
def text_in_place_of_a_list(cors: Cors) -> Iterator[Finding]:
    """`CORSMiddleware` is given a text where it takes a list.

    No error tells so. Of `allow_origins`, the text is searched for the origin: every part of it is
    allowed as well (`http://localhost` by `http://localhost:5173`). Of `allow_headers` and
    `allow_methods` each letter is taken for an entry of its own, so that the browser refuses what
    you meant to allow: there it is an error.

    **Detected** where the argument's value, or its type in the settings (`str`), is proven.
    **Fixed** where it is sure what the list is: a literal becomes a list of its parts, a text of
    the settings gets `.split(",")`; `undo` restores the bytes.
    **Silent** about a text with `*`, which means everything as a list would, and about what a
    validator may turn into a list.
    """
    for middleware in cors.middlewares:
        for argument in ("allow_origins", "allow_methods", "allow_headers"):
            value = middleware.values[argument]
            if value.kind != "str" or value.text == "" or "*" in (value.text or ""):
                continue
            parts = [p.strip() for p in (value.text or "").split(",") if p.strip()]
            breaks = argument != "allow_origins" and _asks_first(argument, parts)
            edit = _as_list(middleware, argument, parts)
            yield Finding(
                f"{argument} is a text, not a list",
                looked_at=str(middleware.place_of(argument))
                + (f"; {value.spot}" if value.spot else ""),
                found=repr(value.text) if value.text is not None else "a value of type str",
                wanted="a list of texts" + (f": {parts}" if parts else ""),
                target=f"{middleware.module.name}:{middleware.app or 'CORSMiddleware'}.{argument}",
                place=middleware.place_of(argument),
                severity=Severity.ERROR if breaks else None,
                next_step="saas-doctor fix --select WEB807"
                if edit
                else 'give it a list, such as [part.strip() for part in text.split(",")]',
                data={"module": middleware.module, "edit": edit, "no_fix": edit is None},
            )


_PLAIN_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::[1-9]\d*)?")


def _asks_first(argument: str, parts: list[str]) -> bool:
    """Whether a browser sends any of these only after it was allowed to."""
    if argument == "allow_methods":
        return bool({p.upper() for p in parts} - _SIMPLE_METHODS)
    return bool({p.lower() for p in parts} - _SIMPLE_HEADERS)


def _as_list(
    middleware: CorsMiddleware, argument: str, parts: list[str]
) -> tuple[ast.expr, str] | None:
    """The argument and its text as a list, where it is sure what that is."""
    node = middleware.given.get(argument)
    text = middleware.values[argument].text
    if node is None or text is None or any(re.search(r"[\s'\"\\\[\]]", p) for p in parts):
        return None
    if argument == "allow_origins" and not all(map(_PLAIN_ORIGIN.fullmatch, parts)):
        return None
    if isinstance(node, ast.Constant):
        return node, "[" + ", ".join(f'"{part}"' for part in parts) + "]"
    if isinstance(node, ast.Attribute | ast.Name) and not re.search(r"\s", text):
        name = ast.unparse(node)
        return node, f'{name}.split(",")'
    return None


_EVERYTHING = re.compile(
    r"\^?(?:https?\??|\(https?\|https?\)|\(\?:https?\|https?\))?(?:://)?\(?\.[*+]\)?\$?"
)
_FOR_DEVELOPMENT = re.compile(r"debug|dev|local|test", re.I)


@check(
    "WEB808",
    severity=Severity.WARNING,
    symptoms=(
        r"must not be the wildcard '\*' when the request's credentials mode is 'include'",
        r"Credential is not supported if the CORS header .Access-Control-Allow-Origin. is .\*",
    ),
)
def everybody_with_credentials(cors: Cors) -> Iterator[Finding]:
    """Every site may call the API with its user's cookies: all origins together with credentials.

    The standard forbids `*` with credentials. Starlette answers with the caller's own origin in its
    place: a preflight always, other requests when they bring a cookie (newer ones always). So any
    page that a signed-in user opens can read and change what is his; without a cookie, older
    versions send the `*`, which a browser refuses for calls with credentials.

    **Detected** where `allow_origins` is proven to hold `*`, or `allow_origin_regex` takes
    everything, and `allow_credentials` is proven to be true; one finding for all apps.
    **To mend**, name the origins; or leave `allow_credentials` out, which an API with tokens in the
    `Authorization` header does not need.
    **Silent** where either is not proven, and in a branch for development
    (`if settings.DEBUG: ...`).
    """
    found: dict[str, dict[str, CorsMiddleware]] = {}
    for middleware in cors.middlewares:
        target = f"{middleware.module.name}:{middleware.app or 'CORSMiddleware'}"
        origins, pattern = middleware.origins, middleware.values["allow_origin_regex"]
        everybody = any(item.text == "*" for item in origins.items) or (
            origins.kind == "str" and "*" in (origins.text or "")
        )
        by_pattern = bool(pattern.text and _EVERYTHING.fullmatch(pattern.text))
        credentials = middleware.values["allow_credentials"].truth
        if (everybody or by_pattern) and credentials and not _in_development(middleware):
            argument = "allow_origins" if everybody else "allow_origin_regex"
            found.setdefault(argument, {}).setdefault(target, middleware)
    for argument, apps in found.items():
        target, middleware = next(iter(apps.items()))
        places = [str(m.place_of(argument)) for m in apps.values()]
        shown = ", ".join(places[:10]) + (f" and {len(places) - 10} more" if places[10:] else "")
        text = middleware.values[argument].text if argument == "allow_origin_regex" else "*"
        yield Finding(
            f"{argument} allows everybody, with credentials"
            + (f", in {len(apps)} apps" if len(apps) > 1 else ""),
            looked_at=", ".join(str(m.place) for m in apps.values()),
            found=f"{argument} {text!r}, allow_credentials true",
            wanted="the origins by name, or no credentials",
            target=target if len(apps) == 1 else argument,
            place=middleware.place_of(argument),
            next_step=f"name the front end's origins at {shown}, or leave allow_credentials out",
        )


def _in_development(middleware: CorsMiddleware) -> bool:
    branches = [n for n in middleware.module.nodes if isinstance(n, ast.If)]
    return any(
        inner is middleware.node
        for branch in branches
        if _FOR_DEVELOPMENT.search(ast.unparse(branch.test))
        for part in branch.body
        for inner in ast.walk(part)
    )


# What a browser sends without asking first, and what Starlette always allows.
_SIMPLE_METHODS = {"GET", "HEAD", "POST"}
_SIMPLE_HEADERS = {"accept", "accept-language", "content-language", "content-type"}


@check(
    "WEB809",
    severity=Severity.WARNING,
    symptoms=(
        r"Disallowed CORS (?:methods?|headers)",
        r"Method (?P<method>[A-Z]+) is not allowed by Access-Control-Allow-Methods",
        r"Request header field (?P<header>[\w-]+) is not allowed by Access-Control-Allow-Headers",
    ),
)
def too_narrow_for_the_front_end(
    cors: Cors, requests: FrontendRequests, platform: Platform
) -> Iterator[Finding]:
    """The CORS middleware does not allow a method or a header that the front end calls with.

    By default it allows GET and no header of your own: `PUT` and `Authorization` are refused at the
    preflight (400, `Disallowed CORS method`). Methods are compared in capital letters.

    **Detected** where both sides are proven: the calls in the front end's source to a service's own
    address (`fetch`, axios, a client with a base address and what its interceptors set), and the
    values of `allow_methods` and `allow_headers` of that service.
    **To mend**, add them to the list, or allow `["*"]`.
    **Silent** about calls by a path, which need no CORS; about what a browser sends without asking;
    and about `Content-Type`, which Starlette always allows.
    """
    services = {service.port: name for name, service in platform.config.services.items()}
    for middleware in cors.middlewares:
        calls = [r for r in requests.requests if _service_of(r, services, cors, middleware)]
        asked = [r for r in calls if r.method not in _SIMPLE_METHODS or _own_headers(r) or r.json]
        for argument, wanted in (
            ("allow_methods", {r.method: r for r in reversed(asked) if r.method}),
            ("allow_headers", {h: r for r in reversed(asked) for h in _own_headers(r)}),
        ):
            allowed = middleware.values[argument].texts
            if allowed is None or "*" in allowed:
                continue
            known = set(allowed) if argument == "allow_methods" else {a.lower() for a in allowed}
            lacking = sorted(set(wanted) - known)
            if lacking:
                place = middleware.place_of(argument)
                yield Finding(
                    f"{argument} lacks {', '.join(lacking)}, which the front end calls with",
                    looked_at=f"{place}; {wanted[lacking[0]].place}",
                    found=", ".join(allowed) or "nothing",
                    wanted=", ".join(lacking),
                    target=f"{middleware.module.name}:{middleware.app or 'CORSMiddleware'}.{argument}",
                    place=place,
                    next_step=f"add {', '.join(lacking)} to {argument} at {place}",
                )


def _own_headers(request: Request) -> frozenset[str]:
    return request.headers - _SIMPLE_HEADERS


def _service_of(
    request: Request, services: dict[int, str], cors: Cors, middleware: CorsMiddleware
) -> bool:
    """Whether a request goes to the service that the middleware is of."""
    found = re.fullmatch(r"https?://(?:localhost|127\.0\.0\.1):(\d{1,5})", request.address.origin)
    service = services.get(int(found.group(1))) if found else None
    return service is not None and middleware in cors.of_service(service)


@check("WEB810", severity=Severity.WARNING, symptoms=(r"has been blocked by CORS policy",))
def refused_outside_of_cors(cors: Cors) -> Iterator[Finding]:
    """A middleware that refuses requests stands outside of the CORS middleware.

    The one that is added last is the outermost. What it answers by itself (401, 403, 429) never
    passes the CORS middleware and has none of its headers: the browser reports "CORS" and hides the
    status; and a preflight, which brings no token, may be refused too.

    **Detected** where the same function adds it after `CORSMiddleware` (or lists it before, in
    `middleware=[...]`), and its source is proven to return a response with a status of 400 to 499.
    **To mend**, add `CORSMiddleware` last.
    **Silent** about middlewares that only pass on what the app answers, that set the headers
    themselves, or whose source is not the platform's (some that are known to refuse excepted), and
    where the app is put into one more `CORSMiddleware`.
    """
    for middleware in cors.middlewares:
        for outer in middleware.outer:
            yield Finding(
                f"{outer.name} refuses requests outside of CORSMiddleware",
                looked_at=f"{middleware.place}; {outer.place}"
                + (f"; {outer.refusal}" if outer.refusal else ""),
                found=f"{outer.name} is added at {_line(outer.place)}, and so around CORSMiddleware"
                + (f"; it answers by itself at {outer.refusal}" if outer.refusal else ""),
                wanted="CORSMiddleware around it, so that refusals have its headers",
                target=f"{middleware.module.name}:{outer.name}",
                place=outer.place,
                next_step=f"move CORSMiddleware of {middleware.place} after {_line(outer.place)}",
            )


def _line(place: Place) -> str:
    return f"line {place.line}"
