"""Addresses in the settings that lead past the service which is meant."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.holders import Holder
from saas_doctor.facts.listeners import Listener
from saas_doctor.facts.lookups import Lead, Leads
from saas_doctor.facts.ports import Port, Ports, State
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "NET408",
    needs=("NET401",),
    symptoms=(
        r"\[Errno (?:-2|-3|8|11001)\] (?:Name or service not known|nodename nor servname|"
        r"Temporary failure in name resolution|getaddrinfo failed)",
        r"All connection attempts failed",
        r"connect ECONNREFUSED ::1:(?P<port>\d+)",
    ),
)
def name_leads_past(leads: Leads, ports: Ports) -> Iterator[Finding]:
    """An address in the settings leads to where its service does not listen.

    `localhost` may be `::1` before `127.0.0.1`, or what `/etc/hosts` makes of it; and a container's
    name is no name on this machine. The service runs, and the others say that it is down.

    **Detected** by the resolver of this machine, in its order, and by the listening sockets, for the
    settings that name a port of a service that runs here. An error where nobody, or another program,
    answers; a warning where another program stands before the service.
    **Fixed** in `.env` by the address at which the service listens; `undo` brings the old one back.
    **Silent** where one of the name's addresses is the service's and the ones before it refuse:
    clients try them in turn (Node before 20 does not: Vite's proxy is best given `127.0.0.1`).
    Also about settings that the compose file gives to containers, whose names are others (DOCK609).
    """
    told: set[tuple[str, int]] = set()
    for lead in leads.all:
        port = ports.of(lead.address.service)
        if port is None or port.state in (State.STRANGER, State.UNTOLD):
            continue
        if port.holder and (port.holder.container or port.holder.service != lead.address.service):
            continue
        found = _judge(lead, port)
        if found and (lead.host, lead.address.port) not in told:
            told.add((lead.host, lead.address.port))
            yield found


def _judge(lead: Lead, port: Port) -> Finding | None:
    own = [h for h in (port.holder, *port.beside) if h and h.service == lead.address.service]
    strangers = [h for h in port.beside if h.service is None]
    served = [at for at, a in enumerate(lead.found) if any(_covers(h, a) for h in own)]
    other = [at for at, a in enumerate(lead.found) if any(_covers(h, a) for h in strangers)]
    service = lead.address.service
    if other and (not own or (served and min(other) < min(served))):
        message = f"{lead.host}:{port.address.port} may lead past {service} to another program"
        return _finding(lead, port, own, message, Severity.WARNING, strangers)
    if not own or served:
        return None
    if other:
        message = f"{lead.key} leads to another program, and not to {service}"
    elif not lead.found:
        message = f"{lead.key} names {lead.host}, which this machine does not know"
    else:
        message = f"{lead.key} leads to {lead.found[0]}, where {service} does not listen"
    return _finding(lead, port, own, message, None, strangers)


def _finding(
    lead: Lead,
    port: Port,
    own: list[Holder],
    message: str,
    severity: Severity | None,
    strangers: list[Holder],
) -> Finding:
    right = _listens_at(own) or port.address.reached_at
    host = f"[{right}]" if ":" in right else right
    written = f"[{lead.host}]" if f"[{lead.host}]" in lead.value else lead.host
    value = lead.value.replace(f"{written}:", f"{host}:", 1)
    others = "".join(f"; {holder}" for holder in strangers)
    here = lead.place is not None
    return Finding(
        message,
        looked_at=f"{lead.place or f'${lead.key} of this shell'}, and who listens on that port",
        found=f"{lead.shown}{others}",
        wanted=value,
        target=f"{lead.host}:{port.address.port}",
        place=lead.place,
        next_step="saas-doctor fix --select NET408" if here else f"export {lead.key}={value}",
        severity=severity,
        data={"key": lead.key, "old": lead.value, "value": value, "no_fix": not here},
    )


def _covers(holder: Holder, address: str) -> bool:
    return any(_takes(listener, address) for listener in holder.listeners)


def _takes(listener: Listener, address: str) -> bool:
    if listener.address == "::":
        return True  # also for IPv4, unless it was made otherwise: nothing is said against it
    if listener.address == "0.0.0.0":
        return ":" not in address
    return listener.address == address


def _listens_at(own: list[Holder]) -> str:
    """An address at which the service can be called."""
    found = [listener.address for holder in own for listener in holder.listeners]
    first = next((a for a in found if a not in ("0.0.0.0", "::")), "")
    return first or ("127.0.0.1" if "0.0.0.0" in found else "::1" if found else "")
