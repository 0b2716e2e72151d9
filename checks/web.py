"""The front end's files: its dev server and the addresses that it calls."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.frontend import FrontendCalls
from saas_doctor.facts.vite import ViteConfig
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
    vite: ViteConfig, calls: FrontendCalls, platform: Platform
) -> Iterator[Finding | Undecided]:
    """The Vite dev server has no proxy for the API that the front end calls.

    A call to `/api/...` then goes to Vite itself, which answers with its page or 404.

    **Detected** by parsing the Vite configuration (all its names and forms; comments are not
    there), where the source calls paths below the API's prefix.
    **Fixed** by an entry that sends the prefix to the gateway's port, where there is none for a part
    of it yet; `undo` restores the bytes.
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
    # Beside entries for parts of the API, one for all of it would take their calls.
    parts = [key for key in vite.keys or () if key.startswith((frontend.api, "^"))]
    yield Finding(
        f"the Vite dev server has no proxy for {missed[0].path if parts else frontend.api}",
        looked_at=f"server.proxy in {vite.name}",
        found=f"entries: {', '.join(vite.keys)}" if vite.keys else "no proxy",
        wanted=f"an entry for {frontend.api}, for the call at {missed[0]}",
        target=frontend.api,
        place=vite.place,
        next_step=f"add an entry for {missed[0].path} to server.proxy in {vite.name}"
        if parts or gateway is None
        else "saas-doctor fix --select WEB803 adds it (Vite takes it by itself)",
        data={"no_fix": gateway is None or bool(parts)},
    )
