"""What the calling shell should set or remove, so that the services started from it work."""

from __future__ import annotations

import os
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.facts import Facts
from saas_doctor.facts.no_proxy import HTTPX, Target
from saas_doctor.facts.proxies import Proxies
from saas_doctor.facts.proxy_answers import ProxyAnswers
from saas_doctor.facts.proxy_clients import ProxyClients
from saas_doctor.platform import Platform


class Need(Struct, frozen=True):
    """One variable with its new value, or None to remove it; `why` is a sentence for the user."""

    name: str
    value: str | None
    why: str


def needs_of(platform: Platform, facts: Facts) -> Iterator[Need]:
    """What the shell lacks; nothing where all is well. Raises what the facts raise."""
    yield from _environment(platform)
    proxies, used = facts.get(Proxies), facts.get(ProxyClients)
    shells = [scope for scope in proxies.scopes if scope.is_shell]
    answers = facts.get(ProxyAnswers).by_value if shells else {}
    for scope in shells:
        dead = {
            key: asked
            for key, value in scope.variables.items()  # the spellings that don't count as well
            if (asked := answers.get(value)) and asked.is_dead
        }
        for key, asked in dead.items():
            yield Need(key, None, f"its proxy at {asked.host}:{asked.port} {asked.problem}")
        broken = scope.unreadable if HTTPX in used.names else {}
        for key in broken.keys() & scope.in_effect.keys() - dead.keys():
            yield Need(key, None, f"httpx can make no client with it, since it is no URL: {_AGAIN}")
        left = {k: v for k, v in scope.variables.items() if k not in dead | broken}
        if scope.no_proxy:  # a value of it that can't be read is written anew
            left[scope.no_proxy_key] = scope.no_proxy
        kept = replace(scope, variables=left)
        swallowed: dict[Target, None] = {}
        for client in used.names:
            swallowed.update(dict.fromkeys(kept.swallowed_by(client)))
        hosts = ", ".join(dict.fromkeys(target.host for target in swallowed))
        if swallowed:
            why = f"{kept.key_for(next(iter(swallowed)))} would take the calls to {hosts}"
        elif scope.no_proxy_key in broken:
            why = f"httpx can make no client with {broken[scope.no_proxy_key]} in it"
        else:
            continue
        yield Need(kept.no_proxy_key, kept.no_proxy_with([*swallowed]), why)


_AGAIN = "set it again, with %2F for a `/` in its password, %23 for a `#`, %3F for a `?`"


def _environment(platform: Platform) -> Iterator[Need]:
    active = platform.environ.get("VIRTUAL_ENV")
    if active and not os.path.isdir(active):
        yield Need("VIRTUAL_ENV", None, f"{active} is not there any more")
        if "VIRTUAL_ENV_PROMPT" in platform.environ:
            yield Need("VIRTUAL_ENV_PROMPT", None, "it belongs to that environment")
