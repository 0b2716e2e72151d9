"""What a browser gets from the running gateway, and through the running dev server."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.cross_origin import CrossOrigin, Plain
from saas_doctor.facts.dev_server import DevServer, Through
from saas_doctor.facts.logs import Logs
from saas_doctor.facts.registered import gateway_of
from saas_doctor.facts.requests import FrontendRequests
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.model import Finding, Severity
from saas_doctor.platform import Platform
from saas_doctor.reasons import reason
from saas_doctor.rules import check


@check(
    "WEB812",
    needs=("WEB802",),
    symptoms=(
        r"header contains multiple values '(?P<origin>[^']*)', but only one is allowed",
        r"must not be the wildcard '\*' when the request's credentials mode is 'include'",
        r"'Access-Control-Allow-Credentials' header in the response is '' which must be 'true'",
        r"No 'Access-Control-Allow-Origin' header is present on the requested resource",
    ),
)
def plain_answers_are_kept_from_the_page(
    cross: CrossOrigin, requests: FrontendRequests, platform: Platform, logs: Logs
) -> Iterator[Finding]:
    """The gateway's preflight passes, and the browser still keeps its answers from the page.

    The answer itself needs the header too, and only one: a gateway that passes on what a service
    with a CORS middleware of its own said sends two, and browsers refuse that.

    **Detected** by a GET with `Origin` of the API's root and of the running services' roots behind the
    gateway, for each origin of the configuration: no `access-control-allow-origin`, several of them,
    another origin, or `*` where cookies are allowed. Where the source calls other origins with
    cookies (`credentials: 'include'`), `access-control-allow-credentials` has to be `true`.
    **To mend**, let the CORS middleware be the outermost, and only the gateway's.
    **Silent** while the preflight does not pass, which is WEB802.
    """
    gateway = gateway_of(platform)
    seen: set[tuple[str, str]] = set()
    for answer in cross.answers:
        said = _kept(answer, cookies=cross.cookies and bool(requests.requests))
        if not said or (answer.origin, said) in seen:
            continue
        seen.add((answer.origin, said))
        why = reason(logs, gateway) if answer.status >= 500 else None
        yield Finding(
            f"the {gateway}'s answer to {answer.origin} {said}" + (why.words if why else ""),
            looked_at=f"GET {answer.url} with Origin: {answer.origin}",
            found=str(answer),
            wanted=f"access-control-allow-origin: {answer.origin}, once",
            target=answer.origin,
            next_step=_next(answer, gateway),
            severity=Severity.WARNING if answer.allowed == ("*",) and not cross.cookies else None,
        )


def _kept(answer: Plain, *, cookies: bool) -> str:
    """Why a browser keeps this answer from the page; nothing where it does not."""
    if not answer.allowed:
        failed = f"is HTTP {answer.status}, and" if answer.status >= 500 else ""
        return f"{failed or 'has'} no access-control-allow-origin".replace("and no", "has no")
    if len(answer.allowed) > 1:
        return "has access-control-allow-origin more than once"
    if answer.allowed == ("*",):
        kept = answer.credentials or cookies
        return "allows `*` together with cookies, which browsers refuse" if kept else ""
    if answer.allowed != (answer.origin,):
        return f"allows {answer.allowed[0]} in its place"
    return (
        "does not allow the cookies that the page sends"
        if cookies and not answer.credentials
        else ""
    )


def _next(answer: Plain, gateway: str) -> str:
    if len(answer.allowed) > 1:
        return (
            f"take the CORS middleware out of the services behind the {gateway}, or let the "
            f"{gateway} leave out their access-control headers"
        )
    if not answer.allowed and answer.status >= 500:
        return (
            f"mend the error (logs/{gateway}.log): a 500 has no CORS headers, so browsers say CORS"
        )
    if not answer.allowed:
        return f"add CORSMiddleware to the {gateway} last, so that it is the outermost"
    if answer.allowed == ("*",):
        return "name the origins in allow_origins, in place of `*`"
    return f"set allow_origins and allow_credentials=True in the {gateway}'s CORSMiddleware"


@check(
    "WEB813",
    needs=("WEB803", "WEB811"),
    symptoms=(
        r"\[vite\] http proxy error: (?P<path>/\S*)",
        r"AggregateError \[ECONNREFUSED\]",
        r"Unexpected token '?<'?.*is not valid JSON",
    ),
)
def dev_server_does_not_reach_the_gateway(
    server: DevServer, vite: ViteConfig, platform: Platform
) -> Iterator[Finding]:
    """A call of the API through the running Vite dev server does not reach the gateway.

    **Detected** by a GET of the paths that the front end itself calls, once of the gateway and once
    through the dev server (`origins` of the configuration): Vite answers with its own page, with 500
    or 502, not at all, or with 404 where the gateway has the path, and so a second time.
    **To mend**, look at `server.proxy`: its target's port as the gateway has it, `127.0.0.1` for
    `localhost`, a `rewrite` that changes the path; and start Vite again where the configuration or a
    `.env` of the front end changed since.
    **Silent** while Vite or the gateway is not running, where the configuration alone tells it
    (WEB803, WEB811), and about what the gateway refuses itself.
    """
    for through in server.found:
        if through.problem:
            yield Finding(
                f"{through.url} {_what(through)}",
                looked_at=f"GET {through.url}, and the same path of the gateway",
                found=through.answer,
                wanted=through.direct,
                target=through.url,
                place=vite.place,
                next_step=_vite_step(through, vite, gateway_of(platform)),
            )


def _what(through: Through) -> str:
    return {
        "page": "is answered by Vite with its own page, and not by the gateway",
        "error": f"fails with HTTP {through.status} on its way to the gateway",
        "path": "is 404 through Vite, and the gateway has it",
        "silent": "gets no answer through Vite",
        "closed": "is closed by Vite without an answer",
    }[through.problem]


def _vite_step(through: Through, vite: ViteConfig, gateway: str) -> str:
    if through.problem == "page":
        return f"start Vite again: its server.proxy has no entry for this path, or had none ({vite.name})"
    if through.problem == "path":
        return (
            f"look at the `rewrite` of the proxy in {vite.name}: the gateway wants the whole path"
        )
    return (
        f"look at Vite's own output, and at the proxy's target in {vite.name}: the {gateway}'s port, "
        "and 127.0.0.1 in place of localhost; then start Vite again"
    )
