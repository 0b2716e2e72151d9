"""How the source calls httpx, and how it starts its servers."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.version import Version

from saas_doctor.facts.clients import Clients, InternalCalls
from saas_doctor.facts.proxies import Proxies
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Severity, Undecided
from saas_doctor.rules import check

_BEFORE_0_28 = ("0.27.2", "0.27.0", "0.26.0", "0.25.2", "0.24.1", "0.23.3", "0.22.0")


@check(
    "SRC230",
    symptoms=(
        r"(?:Async)?Client\.__init__\(\) got an unexpected keyword argument 'proxies'",
        r"__init__\(\) got an unexpected keyword argument 'proxies'",
        r"(?:get|post|put|patch|delete|head|options|request|stream)\(\) got an unexpected keyword argument 'proxies'",
        r"The 'proxies' argument is now deprecated",
    ),
)
def httpx_proxies(clients: Clients, versions: Versions) -> Iterator[Finding | Undecided]:
    """httpx is given `proxies=`, which it no longer takes.

    From 0.28 on it is a `TypeError` whenever the line runs. `proxies=None` never kept a proxy out,
    in no version: it means "as the environment says". `proxies={}` did up to 0.25; in 0.26 and 0.27
    it does nothing any more, without a word. What keeps proxy variables out is `trust_env=False`.

    **Detected** in calls proven to be httpx's: its clients and functions, under any name, through
    `functools.partial` and classes derived from its clients. An error where httpx 0.28 is installed
    or nothing older is allowed; a warning where a fresh installation would bring it; with 0.26 and
    0.27 a warning, and a note for `None`.
    **Fixed** for `proxies=None`, by taking it out: the meaning stays; `undo` restores the bytes.
    For an address write `proxy=`, for several `mounts=`; for `{}` the choice is yours.
    **Silent** before httpx 0.26, for requests, aiohttp and others that do have `proxies=`, and where
    the code itself sees to the version (in a `try` for TypeError, under a test of the version). An
    older package that passes `proxies=` on to httpx (openai before 1.55.3) ends in the same text.
    """
    if not clients.proxies:
        return
    severity, version = _of_httpx(versions)
    if severity is None:
        if version:
            yield Undecided(f"{clients.proxies[0].place}: no version of httpx is known")
        return
    for argument in clients.proxies:
        own = severity
        if own is Severity.INFO and argument.kind != "none":
            own = Severity.WARNING
        fixable = argument.kind == "none" and bool(argument.edits)
        yield Finding(
            f"{argument.name} is given `{argument.text}`, which {version}",
            looked_at=f"{argument.place}; {versions.where('httpx')}",
            found=argument.text,
            wanted=_WANTED[argument.kind],
            target=argument.target,
            place=argument.place,
            severity=own,
            next_step="saas-doctor fix --select SRC230 takes it out"
            if fixable
            else f"{argument.place}: write {_WANTED[argument.kind]}",
            data={"argument": argument, "no_fix": not fixable},
        )


_WANTED = {
    "none": "no `proxies`: None means what leaving it out means",
    "empty": "`trust_env=False`, which keeps proxy variables out (and SSL_CERT_FILE and .netrc), "
    "or nothing",
    "given": "`proxy=` for one address, `mounts=` for one a scheme",
}


def _of_httpx(versions: Versions) -> tuple[Severity | None, str]:
    """How bad `proxies=None` is with the platform's httpx, and what that makes of the argument.

    No severity: it is an old one, or, with a text, not known.
    """
    from_28 = versions.at_least("httpx", "0.28")
    if from_28 is None:
        return None, "unknown"
    installed = versions.installed("httpx")
    if installed is not None:
        if installed >= Version("0.28"):
            return Severity.ERROR, f"httpx {installed} does not know"
        if installed >= Version("0.26"):
            return Severity.INFO, f"httpx {installed} only takes until 0.28"
        return None, ""
    line = versions.requirements.find("httpx")
    assert line
    if from_28:
        older = any(line.requirement.specifier.contains(v) for v in _BEFORE_0_28)
        if older:
            return Severity.WARNING, "httpx 0.28, which a fresh installation brings, does not know"
        return Severity.ERROR, f"{line.requirement} does not know"
    if versions.at_least("httpx", "0.26"):
        return Severity.INFO, f"{line.requirement} only takes until 0.28"
    return None, ""


@check("SRC231", severity=Severity.INFO)
def internal_calls_obey_proxies(calls: InternalCalls, proxies: Proxies) -> Iterator[Finding]:
    """Calls between the services would go through a proxy, as soon as a variable names one.

    httpx obeys HTTP_PROXY, ALL_PROXY and their like also for `localhost` and for services beside it.
    A desktop or a company's shell that sets one makes every call fail with `Connection refused`
    or 502, as though the service were down. `trust_env=False` settles it for good.

    **Detected** in httpx clients and calls whose address is proven to be this machine's or a
    service's (written out, from a setting, its default or `.env`). A note, one a file.
    **To mend** give the client `trust_env=False` (SSL_CERT_FILE and .netrc are then not read either).
    **Silent** for calls of other hosts and of addresses that can't be told, for clients with
    `trust_env=False`, a transport or a proxy of their own, in tests, and where a proxy variable is
    set: NET402 and NET403 then tell whether it does harm.
    """
    if proxies.scopes:
        return
    modules = {call.module.name: call.module for call in calls.found}
    for name in modules:
        found = [call for call in calls.found if call.module.name == name]
        places = ", ".join(str(call.place) for call in found)
        yield Finding(
            f"{name} calls {found[0].url.rstrip('/')} by a client that obeys proxy variables",
            looked_at=places,
            found="; ".join(dict.fromkeys(call.url for call in found))
            + ", without trust_env=False",
            wanted="trust_env=False for calls between the services",
            target=name,
            place=found[0].place,
            next_step=f"add trust_env=False at {places}",
            data={"no_fix": True},
        )
