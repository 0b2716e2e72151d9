"""Ports that something else holds, that two services are to have, or that can't be opened."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from saas_doctor.facts.addresses import Address, Addresses, MoreAddresses
from saas_doctor.facts.answers import Answers
from saas_doctor.facts.bindable import Bindable
from saas_doctor.facts.commands import Starts
from saas_doctor.facts.compose import Compose
from saas_doctor.facts.dotenv import Settings
from saas_doctor.facts.holders import Holder
from saas_doctor.facts.ports import Port, Ports, State, just_started, wrong_service
from saas_doctor.facts.running import Process
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
    ports: Ports, answers: Answers, starts: Starts, more: MoreAddresses
) -> Iterator[Finding | Undecided]:
    """A port of a service, or the front end's, is held by something else.

    The service then does not start: `address already in use`, which uvicorn prints only after
    `Application startup complete`, when the service may have registered itself already. Vite takes
    the next port without a word, which its `strictPort: true` makes an error.

    **Detected** by the listening sockets, a connection to each port, the holder's command line and
    working folder (also of its parents: uvicorn's worker is called `python -c ...`), and by asking
    Docker which container publishes the port. Found as well: a process of the platform that holds the
    port of another service, takes connections and never answers, or is left over (its folder was
    deleted, or its reloader has ended: warnings); and a service of another checkout of the platform.
    **Fixed** by stopping the platform's own process (SIGTERM to its whole tree, SIGKILL after 5
    seconds). A silent one whose input is a terminal may wait at a breakpoint: it is stopped only with
    `--allow-destructive`, and one under a debugger not at all. What is not the platform's is left
    alone: the service moves to a free port, in the settings, in the addresses that lead to it, in the
    compose file and in the Vite proxy; the front end in its script or Vite's configuration, and in
    the origins that may call the services. With `--allow-destructive` the stranger is stopped in
    place of that, and that the port stays free is seen for a moment. What `saas-doctor up` of another
    platform keeps running is not stopped: its `down` is named. `undo` starts a container again, and
    brings all files back; for a process it tells the command that does. Start again what had read
    the old port.
    **Silent** when the platform's own service or container holds its port, about programs that have
    a connection to it (browsers), about sockets in TIME_WAIT, and about another program on `[::1]`
    alone, to which NET408 sees. What can't be seen is `unknown`, never free.

    On macOS, AirPlay holds 5000 and 7000: turn it off in System Settings, General, AirDrop & Handoff.
    """
    seen: set[int] = set()
    frontend = [ports.frontend] if ports.frontend else []
    for port in (*ports.services.values(), *frontend):
        holder = port.holder
        if port.address.port in seen:
            continue
        if port.state is State.UNTOLD:
            yield Undecided(port.reason)
        elif port.state is State.STRANGER and holder:
            seen.add(port.address.port)
            slight = port is ports.frontend and not more.strict
            yield _stranger(port.address, holder, Severity.WARNING if slight else None)
        elif holder and wrong_service(port):
            other = ports.of(holder.service or "")
            if other is None or other.address.port != port.address.port:  # else NET404
                seen.add(port.address.port)
                yield _wrong(port, holder, starts)
        elif holder and holder.process:
            answer = answers.of(port.address.service)
            if answer and answer.problem == "silent":
                yield _silent(port, holder, answer.url, answer.shown, starts)
            elif holder.stale:
                yield _stale(port, holder, starts)


def _wanted(address: Address) -> str:
    return f"{address} free, or held by {address.service} itself"


def _stranger(address: Address, holder: Holder, severity: Severity | None) -> Finding:
    process, container = holder.process, holder.container
    data: dict[str, object] = {"service": address.service, "own": False}
    if container:
        who, stop = str(container), f"docker stop {container.name}"
        data |= {"container": container.identity, "name": f"container {container.name}"}
    elif process:
        who, stop = f"{process.name} (pid {process.pid})", _stop(process)
        restart = f"cd {process.folder or '/'} && {process.shown}"
        data |= {"pid": process.pid, "created": process.created, "name": process.name}
        data |= {"restart": restart, "port": address.port}
    else:
        user = holder.listeners[0].user if holder.listeners else ""
        who = f"a process of user {user}" if user else "a process of another user"
        who += ", which this user can't see"
        stop = f"sudo ss -ltnp 'sport = :{address.port}' names it"
    if holder.checkout:
        who += f" of another checkout, {holder.checkout}"
    if holder.stack:
        who += ", which its local stack keeps running"
        stop = _down(holder)
        data |= {"stack": holder.stack, "down": stop}
    step = f"saas-doctor fix --select NET401 moves {address.service} to a free port"
    return Finding(
        f"port {address.port} of {address.service} is held by {who}",
        looked_at=f"the sockets that listen on port {address.port}",
        found=str(holder),
        wanted=_wanted(address),
        target=str(address.port),
        next_step=f"{step}; or stop the other yourself: {stop}",
        severity=severity,
        data=data | {"otherwise": True},
    )


def _down(holder: Holder) -> str:
    """How the local stack that keeps it running is ended."""
    return f"saas-doctor down --local -C {shlex.quote(holder.stack)}"


def _end_other(holder: Holder) -> str:
    return f"end the other's local stack ({_down(holder)})" if holder.stack else "stop the other"


def _stop(process: Process) -> str:
    """How a user stops a process that is not the platform's."""
    if process.name.startswith("ControlCe"):
        return "it is AirPlay, in System Settings, General, AirDrop & Handoff"
    return f"sudo systemctl stop {process.unit}" if process.unit else f"kill {process.pid}"


def _own_data(port: Port, holder: Holder, starts: Starts) -> dict[str, object]:
    process = holder.process
    if process is None:  # a container: its compose project is the place to put it right
        return {"no_fix": True}
    service = holder.service or port.address.service
    all_of_it = (process, *(one.process for one in holder.listeners if one.process))
    debugged = any(
        one.prompts or one.status == "tracing-stop" or "debugpy" in one.shown for one in all_of_it
    )
    restart = starts.commands.get(service, process.shown)
    return {
        "service": port.address.service,
        "own": True,
        "pid": process.pid,
        "created": process.created,
        "name": service,
        "restart": f"saas-doctor restart {service}" if holder.stack else restart,
        "stack": holder.stack,
        "no_fix": debugged,
        "risk": "changes",
    }


def _stop_and_start(holder: Holder, start: str) -> str:
    then = "the local stack then starts it again" if holder.stack else f"then {start}"
    return f"saas-doctor fix --select NET401 stops it; {then}"


def _wrong(port: Port, holder: Holder, starts: Starts) -> Finding:
    address = port.address
    who = (holder.service or "").removeprefix("the ")
    data = _own_data(port, holder, starts)
    step = starts.commands.get(holder.service or "", "start it on its own port")
    step = _stop_and_start(holder, step)
    if holder.stack:  # which starts it again at the same port
        data["no_fix"] = True
        step = "saas-doctor up --local starts the stack anew where its settings have changed"
    return Finding(
        f"port {address.port} of {address.service} is held by the platform's own {who}",
        looked_at=f"the sockets that listen on port {address.port}",
        found=str(holder),
        wanted=_wanted(address),
        target=str(address.port),
        next_step=step,
        data=data,
    )


def _silent(
    port: Port, holder: Holder, url: str, shown: str, starts: Starts
) -> Finding | Undecided:
    address = port.address
    if just_started(holder.process, *(one.process for one in holder.listeners)):
        return Undecided(f"{address.service} was started just now and does not answer yet")
    data = _own_data(port, holder, starts) | {"silent_at": url}
    terminal = holder.process.terminal if holder.process else ""
    step = _stop_and_start(holder, starts.commands.get(address.service, "start it again"))
    state = ""
    if data.get("no_fix"):
        state = " (it runs under a debugger)" if holder.process else ""
        step = "let it go on in its debugger, or end it there" if state else step
    elif terminal:  # perhaps somebody steps through it there
        state = f" (its input is the terminal {terminal}; it may wait at a breakpoint)"
        step = f"look at that terminal; or {step}, with --allow-destructive"
        data["risk"] = "destructive"
    return Finding(
        f"{address.service} holds port {address.port} and does not answer{state}",
        looked_at=f"GET {url}",
        found=f"{shown}; {holder}",
        wanted="an HTTP answer",
        target=str(address.port),
        next_step=step,
        data=data,
    )


def _stale(port: Port, holder: Holder, starts: Starts) -> Finding:
    address = port.address
    return Finding(
        f"{address.service} on port {address.port} is left over: {holder.stale}",
        looked_at=f"the process that listens on port {address.port}, and its parents",
        found=str(holder),
        wanted=f"{address.service} as its files are now",
        target=str(address.port),
        next_step=_stop_and_start(holder, starts.commands.get(address.service, "start it again")),
        severity=Severity.WARNING,
        data=_own_data(port, holder, starts),
    )


@check("NET404", symptoms=(r"address already in use",))
def one_port_for_two(
    addresses: Addresses, settings: Settings, compose: Compose
) -> Iterator[Finding]:
    """Two services of the platform are set to the same port.

    The one that starts later ends with `address already in use`, or both can't be told apart.

    **Detected** in the settings and in the services' own files: an error where a variable of its own
    gives each its port, else a warning, since they may never run on one machine.
    **Fixed** by moving the one that does not run to a free port; `undo` brings the files back. What
    led to the port both had stays as it is.
    **Silent** about services that listen on different addresses of this machine, and about numbers
    in the code of services that are in containers: each container has all ports for itself.
    """
    earlier: list[Address] = []
    for address in addresses.services.values():
        other = next((a for a in earlier if a.port == address.port and _meet(a, address)), None)
        if other is None:
            earlier.append(address)
            continue
        by_variable = bool(address.variable and other.variable)
        if not by_variable and {address.service, other.service} <= compose.known_services.keys():
            continue
        places = [f"{a.service}: {_where(a, settings)}" for a in (other, address)]
        yield Finding(
            f"{address.service} and {other.service} are both set to port {address.port}",
            looked_at="; ".join(places),
            found=f"{address.port} for both",
            wanted="a port of its own for each service",
            target=f"{address.service}:{other.service}",
            place=settings.places.get(address.variable),
            next_step="saas-doctor fix --select NET404 moves one of them to a free port",
            severity=None if by_variable else Severity.WARNING,
            data={"service": address.service, "other": other.service},
        )


def _meet(one: Address, other: Address) -> bool:
    return one.host == other.host or bool({"0.0.0.0", "::", "*"} & {one.host, other.host})


def _where(address: Address, settings: Settings) -> str:
    if address.variable in settings.values:
        return f"{address.variable} in {settings.where(address.variable)}"
    return "its files"


@check(
    "NET405",
    symptoms=(
        r"Errno 13\] (?:error while attempting to bind|Permission denied).*?(?P<port>\d+)?",
        r"Errno (?:99|49)\] .*(?:Cannot|Can't) assign requested address",
        r"WinError 10013",
    ),
)
def port_can_not_be_opened(ports: Ports, bindable: Bindable, compose: Compose) -> Iterator[Finding]:
    """A service can't open its port, although nothing listens there.

    Ports below 1024 are the administrator's on Linux. An address that this machine does not have
    can't be listened on. And a connection of another program may have been given the very port, from
    the range that the system hands out.

    **Detected** by this user's rights, the machine's addresses, and the connections of its programs.
    **Fixed** by moving the service to a free port outside of that range; `undo` brings the files
    back. An address that is not this machine's has no fix but another one.
    **Silent** about ports that a container publishes, where Docker opens them, about numbers in the
    code of services that are in containers, for administrators, and where the system lets everybody
    open low ports. A warning where no variable gives the service its port.
    """
    for port in ports.services.values():
        address = port.address
        if port.state is not State.FREE or _is_in_container(address, compose):
            continue
        taken = next((o for o in ports.outgoing if o.port == address.port), None)
        if address.port < bindable.lowest:
            why = f"is below {bindable.lowest}, which only an administrator may open"
        elif address.host not in ("localhost", "*") and not bindable.has(address.host):
            why = f"is to be opened at {address.host}, which is no address of this machine"
        elif taken:
            who = taken.process or "a program that this user can't see"
            why = f"is in use for an outgoing connection of {who}"
        else:
            continue
        here = bindable.has(address.host)
        yield Finding(
            f"port {address.port} of {address.service} {why}",
            looked_at=f"the rights, the addresses and the connections of this machine for {address}",
            found=f"{address} can't be opened",
            wanted="a port that this user can open" if here else "an address of this machine",
            target=address.service,
            next_step=f"saas-doctor fix --select NET405 moves {address.service} to a free port"
            if here
            else f"give {address.service} another host",
            severity=None if address.variable or taken else Severity.WARNING,
            data={"service": address.service, "no_fix": not here},
        )


def _is_in_container(address: Address, compose: Compose) -> bool:
    """Whether the number is one that Docker opens, or the container's own."""
    service = compose.known_services.get(address.service)
    if service is None:
        return False
    return not address.variable or any(address.port in port.numbers for port in service.ports)


@check("NET409", severity=Severity.WARNING, symptoms=(r"failed to bind host port",))
def published_port_held(ports: Ports, settings: Settings) -> Iterator[Finding]:
    """A port that a container of the compose file is to publish is held by something else.

    `docker compose up` then fails: `port is already allocated`, or `address already in use`.

    **Detected** by the listening sockets and by asking Docker, for the containers of the compose file
    that are none of the platform's own services (its Postgres, its Redis).
    **To mend**, stop the other, or publish another port.
    **Silent** where the settings lead to that port: the other is then what the platform uses. And
    where whose the port is can't be told.
    """
    for port in ports.published:
        address, holder = port.address, port.holder
        if port.state is not State.STRANGER or holder is None:
            continue
        if any(_leads_to(text, address.port) for text in settings.values.values()):
            continue
        yield Finding(
            f"port {address.port}, which {address.service} is to publish, is held by "
            + (str(holder.container) if holder.container else _name(holder)),
            looked_at=f"the sockets that listen on port {address.port}",
            found=str(holder),
            wanted=f"{address} free, or held by {address.service}'s container",
            target=f"{address.service}:{address.port}",
            next_step=f"{_end_other(holder)}, or publish another port for {address.service}",
        )


def _leads_to(text: str, port: int) -> bool:
    return "://" in text and f":{port}" in text


def _name(holder: Holder) -> str:
    process = holder.process
    return f"{process.name} (pid {process.pid})" if process else "a process of another user"
