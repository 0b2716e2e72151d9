"""The origins that the CORS middleware allows: which are missing, and which never match."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

from msgspec.structs import replace

from saas_doctor.facts.cors import Cors, CorsMiddleware
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.literals import Spot, Value
from saas_doctor.facts.module import dotted_name
from saas_doctor.facts.proxied import Proxied
from saas_doctor.facts.requests import FrontendRequests, Request
from saas_doctor.facts.source import Source
from saas_doctor.model import Absent, Finding, Place, Severity, Undecided
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
    settings: Settings,
    source: Source,
    cors: Cors,
    requests: FrontendRequests,
    proxied: Proxied,
    platform: Platform,
) -> Iterator[Finding | Undecided]:
    """An address that the front end is opened at is missing from the allowed CORS origins.

    The browser then blocks every answer; curl and the server's log show nothing wrong. Origins are
    compared as exact text: `http://localhost:5173` is not `http://127.0.0.1:5173`.

    **Detected** in what a setting such as `CORS_ORIGINS` becomes on its way to the gateway's
    `CORSMiddleware` (fields, properties, `split`, other files followed), against the origins of the
    configuration (by default the port that the Vite configuration names); and in origins written in
    the source, where the front end calls the gateway by its own address.
    **Fixed** by adding the origin to the setting, in the form it has; `undo` restores the bytes.
    **Silent** when everything is allowed (`*`), when the setting is not there or not used by the
    code, where an entry is the origin but for its spelling (WEB806), where there is no front end,
    and where all its calls go to its own dev server, whose proxy hands them to the gateway: the
    browser then asks nobody for another origin. Where the code computes the origins, it is `unknown` whether one is missing.
    """
    frontend = platform.config.frontend
    if frontend is None:
        raise Absent("no front end is configured")
    if not cors.middlewares or not cors.of_gateway:
        raise Absent(f"no CORSMiddleware in the source of the {frontend.gateway}")
    if proxied.surely:
        raise Absent("all calls of the front end go through the proxy of its dev server")
    key = frontend.cors_variable
    text = settings.values.get(key)
    # pydantic-settings takes the field's name in either case.
    used = text is not None and any(source.mentioning(key, key.lower()))
    if used and _split(text or "") is None:
        yield Undecided(f"{key} ({settings.where(key)}) begins as a list and is no JSON")
        return
    missing: dict[str, tuple[CorsMiddleware, Spot, list[str]]] = {}
    entries = [t for m in cors.of_gateway for i in m.origins.items if (t := i.text)]
    called = _call_of_gateway(requests, platform)
    for origin in frontend.origins:
        if any(_means(e, origin) and e != origin for e in entries):
            continue  # WEB806 says so
        unclear, refusing = _who_refuses(cors, origin)
        spot = _setting_of(refusing.origins) if refusing else None
        if refusing and spot:
            missing.setdefault(spot.variable, (refusing, spot, []))[2].append(origin)
        elif refusing and called:
            yield _missing_in_source(refusing, origin, called)
        elif unclear and used and not {origin, "*"} & set(_split(text or "") or ()):
            where = unclear.place_of("allow_origins")
            yield Undecided(
                f"what {where} makes of {key} can't be told, in which {origin} is missing"
            )
    for refusing, spot, origins in missing.values():
        yield from _missing_in_setting(refusing, spot, origins, frontend.gateway, entries)
    if not used and not missing and not called:
        raise Absent(f"{key} is not set, or the code does not use it")


def _missing_in_setting(
    refusing: CorsMiddleware, spot: Spot, missing: list[str], gateway: str, entries: list[str]
) -> Iterator[Finding]:
    allowed = _split(spot.written) or []
    # Text that looks like JSON, of which the code makes parts at the commas.
    as_json = spot.written.lstrip().startswith("[") and not any("[" in entry for entry in entries)
    for origin in missing:
        near = [a for a in allowed if _host_and_port(a) == _host_and_port(origin) and a != origin]
        yield Finding(
            f"origin {origin} is not in {spot.variable}"
            + (f" ({near[0]} is another origin)" if near else "")
            + (": the code splits it at the commas, it is no JSON" if origin in allowed else ""),
            looked_at=f"{spot}, used at {refusing.place_of('allow_origins')}",
            found=spot.written or "an empty value",
            wanted=origin,
            target=origin,
            place=spot.place,
            next_step=f"saas-doctor fix --select WEB801 adds it; then restart the {gateway}"
            if spot.place
            else f"add it to ${spot.variable} of this shell",
            data={
                "key": spot.variable,
                "value": _joined(allowed, missing, as_json=as_json),
                "no_fix": spot.place is None,
            },
        )


def _missing_in_source(refusing: CorsMiddleware, origin: str, called: Request) -> Finding:
    place = refusing.place_of("allow_origins")
    return Finding(
        f"origin {origin} is not in allow_origins",
        looked_at=f"{place}; the front end calls {called.address.origin} at {called.place}",
        found=", ".join(refusing.origins.texts or ()) or "no origin",
        wanted=origin,
        target=origin,
        place=place,
        next_step=f"add {origin} to allow_origins at {place}",
        data={"no_fix": True},
    )


def _call_of_gateway(requests: FrontendRequests, platform: Platform) -> Request | None:
    """A call of the front end's to the gateway's own address, which needs CORS."""
    name = platform.config.frontend.gateway if platform.config.frontend else ""
    gateway = platform.config.services.get(name)
    ends = (
        tuple(f"//{host}:{gateway.port}" for host in ("localhost", "127.0.0.1")) if gateway else ()
    )
    sure = (r for r in requests.requests if r.address.sure and r.address.origin.endswith(ends))
    return next(sure, None) if ends else None


def _who_refuses(cors: Cors, origin: str) -> tuple[CorsMiddleware | None, CorsMiddleware | None]:
    """A middleware of the gateway of which it can't be told, and one that refuses the origin."""
    answers = [(middleware, middleware.allows(origin)) for middleware in cors.of_gateway]
    unclear = next((m for m, answer in answers if answer is None), None)
    return unclear, next((m for m, answer in answers if answer is False), None)


def _setting_of(origins: Value) -> Spot | None:
    """The variable that origins come from."""
    spots = [origins.spot, *(item.spot for item in origins.items)]
    return next((spot for spot in spots if spot and spot.variable), None)


def _split(text: str) -> list[str] | None:
    """The origins of a setting: a JSON list, or parted by commas; None for a list that is no JSON."""
    if not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return [str(value).strip() for value in values]


def _joined(allowed: list[str], missing: list[str], *, as_json: bool) -> str:
    """The setting with the missing origins, in the form that the code reads."""
    every = list(dict.fromkeys(allowed + missing))
    return json.dumps(every) if as_json else ",".join(every)


def _host_and_port(origin: str) -> str:
    """An origin with this machine's names made one."""
    return re.sub(r"//(127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?=:|$)", "//localhost", origin)


_ORIGIN = re.compile(r"(https?)://(\[[^\]]*\]|[\w.-]+)(?::(\d*))?([/?#].*)?", re.I | re.A)


def _wrong(entry: str) -> str:
    """Why a browser's Origin never is this text; nothing where it may be."""
    if entry.strip() != entry:
        return "it has a blank around it"
    if "," in entry:
        return "it is several origins in one text"
    if entry in ("", "*", "null") or entry[0] in "[\"'":
        return ""  # JSON that is taken for text
    if "://" not in entry:
        return "it has no scheme (http:// or https://)"
    if not entry.lower().startswith(("http://", "https://")):
        return ""  # an app's or an extension's own
    if "*" in entry:
        return "it has a * inside, which is taken as it is: that needs allow_origin_regex"
    found = _ORIGIN.fullmatch(entry)
    if found is None:
        return ""
    scheme, host, port, rest = found.groups()
    if rest:
        return "it ends with a slash" if rest == "/" else "it has a path"
    if (scheme + host).lower() != scheme + host:
        return "it has capital letters"
    default = {"http": "80", "https": "443"}[scheme]
    return "it writes out the default port" if port in (default, "") else ""


def _normal(entry: str) -> str:
    """The origin that an entry means, as a browser sends it; nothing where that is not sure."""
    found = _ORIGIN.fullmatch(entry.strip())
    if found is None or "," in entry:
        return ""
    scheme, host, port, _ = found.groups()
    scheme, port = scheme.lower(), port or ""
    shown = "" if port == {"http": "80", "https": "443"}[scheme] or not port else f":{port}"
    return f"{scheme}://{host.lower()}{shown}"


def _means(entry: str, origin: str) -> bool:
    """Whether an entry is an origin but for its spelling, or holds it among others."""
    parts = [part.strip() for part in entry.split(",")]
    return origin in (*parts, _normal(entry), *(f"{s}://{parts[0]}" for s in ("http", "https")))


@check("WEB806", severity=Severity.WARNING, symptoms=(r"has been blocked by CORS policy",))
def origin_never_matches(cors: Cors, proxied: Proxied, platform: Platform) -> Iterator[Finding]:
    """An allowed origin is written so that no browser's origin ever equals it.

    Starlette compares texts. A browser sends scheme, host and port in lower case, with no slash at
    the end, no path and no default port: `http://localhost:5173/` allows nothing, and neither does
    `localhost:5173`, `https://*.example.com`, or, under Pydantic 2, `str()` of an `AnyHttpUrl`,
    which ends with a slash.

    **Detected** in the values that reach `CORSMiddleware`, as far as source and settings file prove
    them; what the code itself puts right (`strip`, `rstrip("/")`) is right. It is an error where an
    address that the front end is opened at is refused for it, and not all calls go through the
    proxy of its dev server.
    **Fixed** by writing that entry as a browser sends it, in the settings file or in the source,
    every other byte kept; by `.rstrip("/")` after the `str()`. `undo` restores the bytes. What is
    meant by a `*` inside or a missing scheme is yours to say.
    **Silent** where everything is allowed (`*`), about schemes of apps and extensions, and about a
    `*` inside where there is an `allow_origin_regex` as well.
    """
    seen: set[tuple[str, str]] = set()
    for middleware in cors.middlewares:
        origins = middleware.origins
        if origins.kind != "list" or any(item.text == "*" for item in origins.items):
            continue
        for item in origins.items:
            finding = _never_matches(middleware, item, platform, cors)
            if finding and finding.key not in seen:
                seen.add(finding.key)
                slight = finding.severity is Severity.ERROR and proxied.surely
                yield replace(finding, severity=None) if slight else finding


def _never_matches(
    middleware: CorsMiddleware, item: Value, platform: Platform, cors: Cors
) -> Finding | None:
    entry = str(item.plain) if item.known and item.kind in ("str", "url") else ""
    is_object = item.kind == "url"
    why = "it is a URL object of Pydantic 2, which no text equals" if is_object else _wrong(entry)
    if not entry or not why or ("*" in entry and not _has_no_pattern(middleware)):
        return None
    refused = _refused_origins(middleware, entry, platform, cors)
    meant = "" if "," in entry else _normal(entry) or (refused[0] if refused else "")
    spot, argument = item.spot, middleware.place_of("allow_origins")
    # Not what is written, but what the code makes of it: the slash of Pydantic's URL.
    made = spot is None or entry not in spot.written
    call = _text_call(middleware) if made and entry == f"{meant}/" else None
    repair = bool(call or (meant and not made and spot and (spot.node or spot.place)))
    return Finding(
        f"the origin {entry!r} never matches: {why}",
        looked_at=f"{argument}; {spot}" if spot else str(argument),
        found=entry,
        wanted=meant or "scheme://host:port, as a browser sends it",
        target=entry if spot and spot.variable else f"{entry} in {middleware.module.name}",
        place=argument if made or spot is None else spot.place,
        severity=Severity.ERROR if refused else None,
        next_step="saas-doctor fix --select WEB806"
        if repair and not is_object
        else _by_hand(entry, spot if not made else None, argument),
        data={
            "module": middleware.module,
            "call": call,
            "spot": spot,
            "old": entry,
            "new": meant,
            "no_fix": is_object or not repair,
        },
    )


def _has_no_pattern(middleware: CorsMiddleware) -> bool:
    pattern = middleware.values["allow_origin_regex"]
    return pattern.known and pattern.plain is None


def _refused_origins(
    middleware: CorsMiddleware, entry: str, platform: Platform, cors: Cors
) -> list[str]:
    """The front end's own addresses that an entry means, and that are refused."""
    frontend = platform.config.frontend
    if frontend is None or middleware not in cors.of_gateway:
        return []
    meant = [origin for origin in frontend.origins if _means(entry, origin)]
    return [origin for origin in meant if middleware.allows(origin) is False]


def _by_hand(entry: str, spot: Spot | None, argument: Place) -> str:
    if "," in entry:
        return f"split it at the commas, at {argument}"
    if spot is None:
        return f'give allow_origins texts at {argument}: [str(o).rstrip("/") for o in ...]'
    return f"correct it at {spot}"


def _text_call(middleware: CorsMiddleware) -> ast.expr | None:
    """The `str(origin)` of `allow_origins=[str(origin) for origin in ...]`."""
    given = middleware.given.get("allow_origins")
    if isinstance(given, ast.ListComp) and isinstance(given.elt, ast.Call):
        return given.elt if dotted_name(given.elt.func) == "str" else None
    return None
