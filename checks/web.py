"""The front end and what the browser lets it do."""

from __future__ import annotations

import json
from collections.abc import Iterator

from saas_doctor.facts.commands import Starts
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.frontend import FrontendCalls
from saas_doctor.facts.preflight import Preflight, Reply
from saas_doctor.facts.source import Source
from saas_doctor.facts.vite import ViteConfig
from saas_doctor.model import Absent, Finding, Severity, Undecided
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "WEB801",
    needs=("CFG901",),
    symptoms=(
        r"has been blocked by CORS policy",
        r"Cross-Origin Request Blocked",
        r"Disallowed CORS origin",
        r"No 'Access-Control-Allow-Origin' header",
    ),
)
def origin_not_allowed(
    settings: Settings, source: Source, platform: Platform
) -> Iterator[Finding | Undecided]:
    """An address that the front end is opened at is missing from the allowed CORS origins.

    The browser then blocks every answer; curl and the server's log show nothing wrong. Origins are
    compared as exact text: `http://localhost:5173` is not `http://127.0.0.1:5173`, and a slash at
    the end makes another origin.

    **Detected** in `CORS_ORIGINS` as the services read it, against the origins of the
    configuration (by default the port that the Vite configuration names).
    **Fixed** by adding the origin to the setting, in the form it has; `undo` restores the bytes.
    **Silent** when everything is allowed (`*`), when the setting is not there or not used by the
    code, and where there is no front end.
    """
    frontend = platform.config.frontend
    if frontend is None:
        raise Absent("no front end is configured")
    key = frontend.cors_variable
    text = settings.values.get(key)
    # pydantic-settings takes the field's name in either case.
    if text is None or not any(source.mentioning(key, key.lower())):
        raise Absent(f"{key} is not set, or the code does not use it")
    allowed = split_origins(text)
    if allowed is None:
        yield Undecided(f"{key} ({settings.where(key)}) begins as a list and is no JSON")
        return
    missing = [origin for origin in frontend.origins if origin not in allowed]
    for origin in missing if "*" not in allowed else ():
        near = [a for a in allowed if a.rstrip("/").lower() == origin.rstrip("/").lower()]
        yield Finding(
            f"origin {origin} is not in {key}"
            + (f" ({near[0]} is another origin)" if near else ""),
            looked_at=f"{key} ({settings.where(key)})",
            found=text or "an empty value",
            wanted=origin,
            target=origin,
            place=settings.places.get(key),
            next_step=f"saas-doctor fix --select WEB801 adds it; then restart the {frontend.gateway}",
            data={
                "key": key,
                "value": joined(text, allowed, missing),
                "no_fix": settings.places.get(key) is None,
            },
        )


def split_origins(text: str) -> list[str] | None:
    """The origins of a setting: a JSON list, or parted by commas; None for a list that is no JSON."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return [str(value).strip() for value in values]


def joined(text: str, allowed: list[str], missing: list[str]) -> str:
    """The setting with the missing origins, in the form it has."""
    if text.lstrip().startswith("["):
        return json.dumps(allowed + missing)
    return ",".join(allowed + missing)


@check(
    "WEB803",
    symptoms=(
        r"GET http://localhost:5173/api/\S* 404",
        r"Unexpected token '?<'?.*is not valid JSON",
    ),
)
def no_proxy_for_the_api(
    vite: ViteConfig, calls: FrontendCalls, platform: Platform
) -> Iterator[Finding | Undecided]:
    """The Vite dev server has no proxy for the API that the front end calls.

    A call to `/api/...` then goes to Vite itself, which answers with its page or 404.

    **Detected** by parsing the Vite configuration (all its names and forms; comments are not
    there), where the source calls paths below the API's prefix.
    **Fixed** by an entry that sends the prefix to the gateway's port; `undo` restores the bytes.
    **Silent** when entries cover the paths that are called, and when no source calls the API by a
    path of its own origin (a base address elsewhere makes `get('/api/x')` another call). What is
    computed or imported is `unknown`.
    """
    frontend = platform.config.frontend
    missed = [call for call in calls.relative if not vite.covers(call)]
    if frontend is None or not missed:
        return
    if vite.unknown:
        yield Undecided(vite.unknown)
        return
    gateway = platform.config.services.get(frontend.gateway)
    yield Finding(
        f"the Vite dev server has no proxy for {frontend.api}",
        looked_at=f"server.proxy in {vite.name}",
        found=f"entries: {', '.join(vite.keys)}" if vite.keys else "no proxy",
        wanted=f"an entry for {frontend.api}, for the call at {missed[0]}",
        target=frontend.api,
        place=vite.place,
        next_step="saas-doctor fix --select WEB803 adds it (Vite takes it by itself)",
        data={"no_fix": gateway is None},
    )


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
    preflight: Preflight, platform: Platform, starts: Starts
) -> Iterator[Finding]:
    """The running gateway refuses the front end's calls, or lets strangers call it.

    **Detected** by asking as a browser does (OPTIONS with `Origin`) for each origin of the
    configuration; what counts is the header `access-control-allow-origin`, not the status. Then
    for `http://evil.invalid`, and for the beginning of an origin (`http://localhost`), which passes
    where the origins are one text in place of a list: those two are warnings.
    **To mend**, correct the gateway's CORS middleware, or start it again when the settings were
    changed since.
    **Silent** where the gateway allows everybody without credentials (`*`), and while it does not
    run (SVC701).
    """
    gateway = platform.config.frontend.gateway if platform.config.frontend else "gateway"
    for reply in preflight.developers:
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
