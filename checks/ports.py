"""Ports that something else holds."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from saas_doctor.facts.answers import Answers
from saas_doctor.facts.commands import Starts
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.listeners import Address
from saas_doctor.facts.ports import Holder, Port, Ports, State, just_started, wrong_service
from saas_doctor.model import Finding, Severity, Undecided
from saas_doctor.rules import check


@check(
    "NET401",
    symptoms=(
        r"Errno (?:48|98)\D.*?\('[\d.:]+', (?P<port>\d+)\)",
        r"EADDRINUSE.*?:(?P<port>\d+)",
        r"Bind for [\d.:\[\]]+:(?P<port>\d+) failed: port is already allocated",
        r"listen tcp\S* \S*?:(?P<port>\d+): bind: address already in use",
        r"failed to bind host port (?:for )?\S*?:(?P<port>\d+)",
        r"Ports are not available",
        r"port (?P<port>\d+) (?:is )?already in use",
        r"address already in use",
        r"WinError 10048",
    ),
)
def port_held(
    ports: Ports, answers: Answers, settings: Settings, starts: Starts
) -> Iterator[Finding | Undecided]:
    """A service's port is held by something else.

    The service then does not start: `address already in use`, which uvicorn prints only after
    `Application startup complete`, when the service may have registered itself already.

    **Detected** by the listening sockets, a connection to each port, the holder's command line and
    working folder (also of its parents: uvicorn's worker is called `python -c ...`), and by asking
    Docker which container publishes the port. A process of the platform that holds the port of
    another service, or takes connections and never answers, is found as well.
    **Fixed** by stopping the platform's own process (SIGTERM to its whole tree, SIGKILL after 5
    seconds). What is not the platform's is only stopped with `--allow-destructive`. `undo` starts a
    container again; for a process it tells the command that does.
    **Silent** when the platform's own service or container holds its port, about programs that have
    a connection to it (browsers), about sockets in TIME_WAIT, and about another program on `[::1]`
    alone, unless the settings lead to `localhost` there.
    """
    seen: set[int] = set()
    for name, port in ports.services.items():
        address = port.address
        if address.port in seen:
            continue
        if port.state is State.UNTOLD:
            yield Undecided(port.reason)
        elif port.state is State.STRANGER and port.holder:
            seen.add(address.port)
            yield _stranger(port, port.holder, settings)
        elif port.holder and wrong_service(port):
            other = ports.of(port.holder.service or "")
            twice = other is not None and other.address.port == address.port
            seen.add(address.port)
            yield _twice(port, other) if twice and other else _wrong(port, port.holder, starts)
        elif port.holder and port.holder.process:
            answer = answers.of(name)
            if answer and answer.problem == "silent":
                yield _silent(port, port.holder, answer.url, answer.shown, starts)
        yield from _beside(port, settings)


def _wanted(address: Address) -> str:
    return f"{address} free, or held by {address.service} itself"


def _keys(address: Address, settings: Settings) -> str:
    """Which keys move a service to another port."""
    keys = [f"{address.variable} in {settings.where(address.variable)}"] if address.variable else []
    if f":{address.port}" in settings.values.get("REGISTRY_URL", ""):
        keys.append("REGISTRY_URL")
    return " and ".join(keys) or "its port in its run.py and in saas-doctor.toml"


def _stranger(port: Port, holder: Holder, settings: Settings) -> Finding:
    address, process, container = port.address, holder.process, holder.container
    user = holder.listeners[0].user if holder.listeners else ""
    data: dict[str, object] = {"service": address.service, "own": False}
    if container:
        who, stop = str(container), f"docker stop {container.name}"
        data |= {"container": container.identity, "name": f"container {container.name}"}
    elif process:
        who, stop = f"{process.name} (pid {process.pid})", f"kill {process.pid}"
        restart = f"cd {process.folder or '/'} && {process.shown}"
        data |= {"pid": process.pid, "created": process.created, "name": process.name}
        data |= {"restart": restart}
    else:
        who = f"a process of user {user}" if user else "a process of another user"
        who += ", which this user can't see"
        stop = f"sudo ss -ltnp 'sport = :{address.port}' names it"
        data |= {"no_fix": True}
    return Finding(
        f"port {address.port} of {address.service} is held by {who}",
        looked_at=f"the sockets that listen on port {address.port}",
        found=str(holder),
        wanted=_wanted(address),
        target=str(address.port),
        next_step=f"stop it yourself ({stop}), or move {address.service} to another port: "
        f"{_keys(address, settings)}, and what leads there (compose ports, proxy target)",
        data=data,
    )


def _twice(port: Port, other: Port) -> Finding:
    one, two = port.address, other.address
    keys = " or ".join(a.variable for a in (one, two) if a.variable) or "one of them"
    return Finding(
        f"{one.service} and {two.service} are both set to port {one.port}",
        looked_at=f"the ports of {one.service} and {two.service}",
        found=f"{one.port} for both; {two.service} holds it",
        wanted="a port of its own for each service",
        target=str(one.port),
        next_step=f"give {keys} another port",
        data={"no_fix": True},
    )


def _own_data(port: Port, holder: Holder, starts: Starts) -> dict[str, object]:
    process = holder.process
    if process is None:  # a container: its compose project is the place to put it right
        return {"no_fix": True}
    service = holder.service or port.address.service
    debugged = process.status == "tracing-stop" or "debugpy" in process.shown
    return {
        "service": port.address.service,
        "own": True,
        "pid": process.pid,
        "created": process.created,
        "name": service,
        "restart": starts.commands.get(service, process.shown),
        "no_fix": debugged,
        "risk": "changes",
    }


def _wrong(port: Port, holder: Holder, starts: Starts) -> Finding:
    address = port.address
    return Finding(
        f"port {address.port} of {address.service} is held by the platform's own {holder.service}",
        looked_at=f"the sockets that listen on port {address.port}",
        found=str(holder),
        wanted=_wanted(address),
        target=str(address.port),
        next_step=f"saas-doctor fix --select NET401 stops it; then "
        f"{starts.commands.get(holder.service or '', 'start it on its own port')}",
        data=_own_data(port, holder, starts),
    )


def _silent(
    port: Port, holder: Holder, url: str, shown: str, starts: Starts
) -> Finding | Undecided:
    address = port.address
    if just_started(holder.process, *(one.process for one in holder.listeners)):
        return Undecided(f"{address.service} was started just now and does not answer yet")
    data = _own_data(port, holder, starts) | {"silent_at": url}
    debugged = " (it runs under a debugger)" if data.get("no_fix") else ""
    return Finding(
        f"{address.service} holds port {address.port} and does not answer{debugged}",
        looked_at=f"GET {url}",
        found=f"{shown}; {holder}",
        wanted="an HTTP answer",
        target=str(address.port),
        next_step="saas-doctor fix --select NET401 stops it; then "
        + starts.commands.get(address.service, "start it again"),
        data=data,
    )


def _beside(port: Port, settings: Settings) -> Iterator[Finding]:
    """A stranger on the other IP version, where `localhost` in the settings may lead to it."""
    url = settings.values.get("REGISTRY_URL", "")
    try:
        host, number = urlsplit(url).hostname, urlsplit(url).port
    except ValueError:
        return  # an address that is not valid is reported as such
    address = port.address
    strangers = [h for h in port.beside if h.service is None]
    if host != "localhost" or number != address.port or not strangers:
        return
    yield Finding(
        f"localhost:{address.port} may lead past {address.service} to another program",
        looked_at=settings.where("REGISTRY_URL"),
        found=f"REGISTRY_URL={url}, and {'; '.join(map(str, strangers))}",
        wanted=f"http://{address.reached_at}:{address.port}, where only {address.service} listens",
        target=f"localhost:{address.port}",
        place=settings.places.get("REGISTRY_URL"),
        next_step=f"write {address.reached_at} for localhost in REGISTRY_URL, or stop the other",
        severity=Severity.WARNING,
        data={"no_fix": True},
    )
