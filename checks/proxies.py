"""Proxy variables that swallow calls between services."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.clients import Clients
from saas_doctor.facts.packages import Installed
from saas_doctor.facts.proxies import Proxies, Scope
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "NET402",
    symptoms=(
        r"httpx\.ConnectError: \[Errno (?:111|61)\] Connection refused",
        r"All connection attempts failed",
        r"50[23] (?:Bad Gateway|Service Unavailable)",
    ),
)
def proxy_swallows_calls(proxies: Proxies, clients: Clients) -> Iterator[Finding]:
    """A proxy variable swallows the calls between the services.

    Calls to this machine then go to a proxy that can't reach it, and fail with `Connection refused`
    or 502, as though the service were down; curl may work, since it reads other spellings.

    **Detected** in the shell's environment (all eight spellings, the lower case one wins), in
    `.env`, and in the environment that the compose file gives its services, as httpx reads them:
    NO_PROXY is a list with commas, `localhost` does not cover `127.0.0.1`, and networks such as
    `127.0.0.0/8` cover nothing. A warning for the shell; an error where the services surely get it;
    no more than a note where all httpx clients of the platform are made with `trust_env=False`.
    **Fixed** in `.env`, where NO_PROXY gets the services' hosts; `undo` brings the old line back.
    For a shell the next step is the line to enter.
    **Silent** when NO_PROXY covers the services, and about proxies for `https://` alone.
    """
    for scope in proxies.scopes:
        swallowed = scope.swallowed
        if not swallowed:
            continue
        first = swallowed[0]
        key = scope.key_for(first)
        value = scope.no_proxy_with([*swallowed])
        yield Finding(
            f"{key} in {scope.name} sends calls to {first} through a proxy",
            looked_at=f"{scope.name}, as httpx reads it",
            found=f"{key}={scope.shown(key)}, NO_PROXY={scope.no_proxy or '(not set)'}; "
            f"not covered: {', '.join(map(str, swallowed))}",
            wanted=f"NO_PROXY that covers {', '.join(dict.fromkeys(t.host for t in swallowed))}",
            target=scope.name,
            place=scope.places.get(key),
            next_step=_no_proxy_step(scope, value),
            severity=_severity(scope, clients),
            data={"value": value, "key": scope.no_proxy_key, "no_fix": not scope.editable},
            more={"clients": clients.shown},
        )


def _no_proxy_step(scope: Scope, value: str) -> str:
    if scope.is_shell:
        # The lower case one wins, so it is the one to set where it is there.
        return f"export {scope.no_proxy_key}={value}  (then start the services from this shell)"
    return f"set {scope.no_proxy_key}={value} in {scope.name}"


def _severity(scope: Scope, clients: Clients) -> Severity:
    if clients.all_ignore_environment:
        return Severity.INFO
    given = scope.reaches_services or (scope.editable and clients.load_settings_file)
    return Severity.ERROR if given else Severity.WARNING


@check(
    "NET403",
    needs=("PY101",),
    symptoms=(
        r"Using SOCKS proxy, but the 'socksio' package is not installed",
        r"Missing dependencies for SOCKS support",
        r"Unknown scheme for proxy URL",
    ),
)
def socks_without_socksio(
    proxies: Proxies, installed: Installed, clients: Clients
) -> Iterator[Finding]:
    """A proxy variable names a proxy that httpx can't use, so that no client can be made.

    httpx fails when a client is *made*, also for a call to this machine and also when NO_PROXY
    covers it: `Using SOCKS proxy, but the 'socksio' package is not installed`, or
    `Unknown scheme for proxy URL`.

    **Detected** in the same places as NET402, with the packages of the platform's environment.
    **Fixed** by installing `socksio` there; `undo` removes it. An unknown scheme (`socks://`,
    `socks4://`, with httpx before 0.28 `socks5h://`) has no fix but another value.
    **Silent** without httpx, with socksio, and with `NO_PROXY=*`. A note where all clients are made
    with `trust_env=False`.
    """
    httpx = installed.get("httpx")
    if httpx is None:
        return
    for scope in proxies.scopes:
        if scope.no_proxy_is_all:
            continue
        for key, value in scope.in_effect.items():
            shown = scope.shown(key)
            scheme = value.partition("://")[0].lower() if "://" in value else "http"
            known = {"http", "https", "socks5"}
            if httpx.version.release >= (0, 28):
                known.add("socks5h")
            if scheme in known and (not scheme.startswith("socks") or installed.get("socksio")):
                continue
            lacks = scheme in known
            yield Finding(
                f"{key} in {scope.name} names a {scheme} proxy, "
                + ("and socksio is not installed" if lacks else "a scheme httpx does not know"),
                looked_at=f"{scope.name} and {installed.name}",
                found=f"{key}={shown}, httpx {httpx.version}" + (", no socksio" if lacks else ""),
                wanted="socksio beside httpx" if lacks else f"one of {', '.join(sorted(known))}",
                target=f"{scope.name}:{key}",
                place=scope.places.get(key),
                next_step="saas-doctor fix --select NET403 installs socksio"
                if lacks
                else f"write {key}={_known_scheme(shown)}, or unset it",
                severity=_severity(scope, clients),
                data={"no_fix": not lacks},
                more={"clients": clients.shown},
            )


def _known_scheme(value: str) -> str:
    return f"socks5://{value.partition('://')[2]}"
