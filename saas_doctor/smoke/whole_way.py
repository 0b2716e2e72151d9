"""Step three: services register, the registry lists them, and a request gets through the gateway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from saas_doctor.facts.answers import client
from saas_doctor.facts.frontend import FrontendCalls
from saas_doctor.facts.registered import gateway_of, listed_at, normal, registering_line
from saas_doctor.model import Absent, Blocked, Unreadable
from saas_doctor.smoke.services import Services
from saas_doctor.smoke.steps import Part, Step, StepFailed, StepSkipped, step
from saas_doctor.smoke.users import Users

if TYPE_CHECKING:
    import httpx

_REGISTERS = 10.0
"""Seconds in which a service that has started should have registered itself."""


def whole_way(services: Services, *, read_only: bool) -> Iterator[Step]:
    """The steps of the whole way, each for itself: what one lacks, another may have."""
    with client() as http:
        with step(Part.WAY, "registration") as clock:
            clock.said = _registered(services)
        assert clock.step
        yield clock.step
        with step(Part.WAY, "a request through the gateway") as clock:
            clock.said = _request(services, http)
        assert clock.step
        yield clock.step
        yield from Users(services, http, read_only=read_only).steps()


def _registered(services: Services) -> str:
    platform = services.platform
    url = services.urls.get(services.registry)
    if services.registry not in platform.config.services:
        raise StepSkipped("the platform has no registry")
    if url is None:
        raise StepSkipped("the registry is not up")
    skip = (services.registry, gateway_of(platform))
    wanted = {
        normal(name): name
        for name, service in platform.config.services.items()
        if name not in skip
        and name in services.urls
        and registering_line(platform.path(service.directory), platform)
    }
    if not wanted:
        raise StepSkipped("no service that is up registers itself")
    deadline = time.monotonic() + min(_REGISTERS, services.limit)
    while True:
        try:
            listed = listed_at(f"{url}/api/registry/services")
        except Absent as none:
            raise StepSkipped(str(none)) from None
        except Unreadable as reason:
            raise StepFailed(str(reason)) from None
        missing = wanted.keys() - listed
        if not missing:
            return f"the registry lists {', '.join(sorted(wanted.values()))}"
        if time.monotonic() > deadline:
            name = wanted[min(missing)]
            process = services.started.get(name)
            shown = ", ".join(sorted(listed)) or "nobody"
            raise StepFailed.of(
                f"the registry does not know {name}; it lists {shown}",
                process.tail if process else None,
            )
        time.sleep(0.1)


def _request(services: Services, http: httpx.Client) -> str:
    import httpx

    platform = services.platform
    gateway = gateway_of(platform)
    if gateway not in services.urls:
        raise StepSkipped(
            f"the {gateway} is not up"
            if gateway in platform.config.services
            else "the platform has no gateway"
        )
    path, asked_for = _path(services)
    url = services.urls[gateway] + path
    try:
        answer = http.get(url, timeout=services.limit)
    except httpx.HTTPError as error:
        raise StepFailed(f"GET {path}: {error or type(error).__name__}") from None
    said = f"GET {path}: HTTP {answer.status_code}"
    body = " ".join(answer.text.split())[:160]
    # 401 comes from the service as well: the request got there.
    reached = answer.status_code < 400 or answer.status_code in (401, 403)
    if reached or (not asked_for and answer.status_code < 500 and "no service" not in body):
        return said + (f", {len(answer.content)} bytes" if answer.status_code < 400 else "")
    process = services.started.get(gateway)
    failed = StepFailed.of(f"{said}: {body}", process.tail if process else None)
    failed.error = f"{body} {failed.error}"
    raise failed


def _path(services: Services) -> tuple[str, bool]:
    """The path to ask for, and whether somebody asked for it: only then it has to be there."""
    platform = services.platform
    if platform.config.smoke.request:
        return platform.config.smoke.request, True
    try:
        calls = services.facts.get(FrontendCalls).relative
    except (Absent, Blocked, Unreadable):
        calls = ()
    whole = next((call.path for call in calls if call.whole), "")
    if whole:
        return whole, True
    api = platform.config.frontend.api if platform.config.frontend else "/api"
    behind = [n for n in services.urls if n not in (services.registry, gateway_of(platform))]
    if not behind:
        raise StepSkipped("no service behind the gateway is up")
    return f"{api}/{behind[-1]}/", False
