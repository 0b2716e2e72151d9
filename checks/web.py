"""The proxy of the front end's dev server."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from saas_doctor.facts.elsewhere import Elsewhere
from saas_doctor.facts.frontend import Call, FrontendCalls, FrontendSource
from saas_doctor.facts.named_ports import NamedPorts
from saas_doctor.facts.vite import Entry, ViteConfig
from saas_doctor.model import Finding, Undecided
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "WEB803",
    symptoms=(
        r"GET http://localhost:5173/api/\S* 404",
        r"Unexpected token '?<'?.*is not valid JSON",
    ),
)
def no_proxy_for_the_api(
    vite: ViteConfig,
    calls: FrontendCalls,
    source: FrontendSource,
    elsewhere: Elsewhere,
    platform: Platform,
) -> Iterator[Finding | Undecided]:
    """The Vite dev server has no proxy for the API that the front end calls.

    A call to `/api/...` then goes to Vite itself, which answers with its page or 404.

    **Detected** by parsing the Vite configuration (all its names and forms; comments are not
    there), where the source calls paths below the API's prefix.
    **Fixed** by an entry that sends the prefix to the gateway's port, where there is none for a part
    of it yet; `undo` restores the bytes.
    **Silent** when entries cover the paths that are called, and when no source calls the API by a
    path of its own origin (a base address elsewhere makes `get('/api/x')` another call). What is
    computed, imported or changed later is `unknown`, and so are plugins that are not known to leave
    the calls alone, a server of your own, a reverse proxy that stands before the dev server, and
    mocks that answer in the page (msw, Mirage).
    """
    frontend = platform.config.frontend
    missed = [call for call in calls.relative if not vite.covers(call)]
    if frontend is None or not missed:
        return
    if vite.unknown:
        yield Undecided(vite.unknown)
        return
    if before := elsewhere.matching(_before(frontend.origins)):
        yield Undecided(f"{platform.relative(before)} puts a proxy before the dev server")
        return
    if mocked := next((f.name for f in source.files if f.has_in_code(_MOCKS)), None):
        yield Undecided(f"{mocked} has mocks, which may answer the calls")
        return
    gateway = platform.config.services.get(frontend.gateway)
    # Beside entries for parts of the API, one for all of it would take their calls.
    parts = [key for key in vite.keys or () if key.startswith((frontend.api, "^"))]
    path = missed[0].path.partition("?")[0]
    yield Finding(
        f"the Vite dev server has no proxy for {path if parts else frontend.api}",
        looked_at=f"server.proxy in {vite.name}",
        found=f"entries: {', '.join(vite.keys)}" if vite.keys else "no proxy",
        wanted=f"an entry for {frontend.api}, for the call at {missed[0]}",
        target=frontend.api,
        place=vite.place,
        next_step=f"add an entry for {path} to server.proxy in {vite.name}"
        if parts or gateway is None
        else "saas-doctor fix --select WEB803 adds it (Vite takes it by itself)",
        data={"no_fix": gateway is None or bool(parts)},
    )


_MOCKS = re.compile(rb"\b(?:worker\.start|setupWorker|MockAdapter|fetchMock|miragejs)\b|[\"']msw\b")


def _before(origins: Sequence[str]) -> re.Pattern[bytes]:
    """What nginx, Caddy and Traefik say of a server that they stand before, for the dev server's ports."""
    named = {port for o in origins if (port := o.rpartition(":")[2]).isdecimal()}
    ports = "|".join(sorted(named | {"5173"}))
    words = r"proxy_pass|reverse_proxy|upstream|\bserver |loadbalancer\.server\.port"
    return re.compile(rf"(?:{words})[^\n#]*(?<!\d)(?:{ports})(?!\d)".encode())


_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.I)
_HOST = re.compile(r"[\w.-]+(?::\d+)?(?:/\S*)?", re.A)
_LOCAL = re.compile(
    r"(?:https?|wss?)://(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0):(\d+)(?=/|$)", re.I
)


@check("WEB811", symptoms=(r"\[vite\] http proxy error", r"http proxy error: /\S*"))
def proxy_leads_nowhere(
    vite: ViteConfig, ports: NamedPorts, platform: Platform
) -> Iterator[Finding]:
    """The Vite dev server's proxy sends the API's calls to an address where nothing is.

    Every call then ends in an empty 500 or 502, with `http proxy error ... ECONNREFUSED` in Vite's
    log.

    **Detected** where the target of an entry is written out and has no scheme (`localhost:8000`),
    or where the entry takes paths of the API, the target is a port of this machine, and no service,
    no compose file, no script, no other file and no source of the platform names that port.
    **Fixed** by writing `http://` before it, and by the gateway's port where the entry takes all of
    the API; `undo` restores the bytes.
    **Silent** about targets that are computed or on other machines, and while no service of the
    platform is known.
    """
    for entry in vite.entries or ():
        if entry.target is None:
            continue
        if not _SCHEME.match(entry.target):
            if _HOST.fullmatch(entry.target):
                yield _leads_nowhere(vite, entry, "has no scheme", f"http://{entry.target}")
            continue
        found = _LOCAL.match(entry.target)
        if found and platform.config.services and not ports.has(int(found.group(1))):
            yield from _at_nothing(vite, entry, found, platform)


def _at_nothing(
    vite: ViteConfig, entry: Entry, found: re.Match[str], platform: Platform
) -> Iterator[Finding]:
    frontend = platform.config.frontend
    target = entry.target or ""
    alone = ViteConfig(vite.path, vite.name, vite.data, (entry,), vite.place)
    if frontend is None or not (
        alone.covers(Call(f"{frontend.api}/", entry.place, whole=False))
        or entry.key.startswith(frontend.api)
    ):
        return
    gateway = platform.config.services.get(frontend.gateway)
    mended = ""
    if gateway and alone.covers(Call(f"{frontend.api}/", entry.place)):
        mended = f"{target[: found.start(1)]}{gateway.port}{target[found.end(1) :]}"
    yield _leads_nowhere(vite, entry, f"is at port {found.group(1)}, where nothing is", mended)


def _leads_nowhere(vite: ViteConfig, entry: Entry, why: str, mended: str) -> Finding:
    return Finding(
        f"the proxy's target for {entry.key} {why}",
        looked_at=f"server.proxy in {vite.name}",
        found=entry.target or "",
        wanted=mended or "http://host:port of a service",
        target=entry.key,
        place=entry.place,
        next_step="saas-doctor fix --select WEB811 (Vite takes it by itself)"
        if mended
        else f"correct the target of {entry.key} in {vite.name}",
        data={"entry": entry, "target": mended, "no_fix": not mended},
    )
