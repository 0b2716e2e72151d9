"""The platform's services: running, and answering."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.answers import Answer, Answers
from saas_doctor.facts.commands import Starts
from saas_doctor.facts.containers import Containers, OwnContainer
from saas_doctor.facts.logs import Logs
from saas_doctor.facts.moved import Moved, MovedService
from saas_doctor.facts.own_stack import has_failed
from saas_doctor.facts.ports import Port, Ports, State, wrong_service
from saas_doctor.model import Blocked, Finding, Severity, Unreadable
from saas_doctor.reasons import reason
from saas_doctor.rules import check


@check(
    "SVC701",
    severity=Severity.WARNING,
    needs=("PY103", "CFG901"),
    symptoms=(
        r"curl: \(7\) Failed to connect to (?:localhost|127\.0\.0\.1) port (?P<port>\d+)",
        r"connect ECONNREFUSED \S*?:(?P<port>\d+)",
        r"All connection attempts failed",
        r"\[Errno (?:111|61)\] Connection refused",
        r"WinError 10061",
    ),
)
def service_not_running(
    ports: Ports, starts: Starts, logs: Logs, containers: Containers, moved: Moved
) -> Iterator[Finding]:
    """A service of the platform is not running, or at a port where nobody looks for it.

    **Detected** by its port: nothing listens there. A process of the service that listens at another
    port is named, with the variable of its environment that says so. Where its log (`logs` in saas-doctor.toml,
    `logs/<service>.log` by itself, or what its container wrote) ends with an error, that is the
    reason, with the code that the error's text points to.
    **To mend**, `saas-doctor up` starts it with what it needs; by hand, the command with the
    platform's own interpreter does.
    **Silent** about a service whose port another program holds: that is NET401. Where the one thing
    that is not running is a container that ended with an error, that is DOCK624. Any HTTP answer, a
    404 too, counts as running. An error of a run that was ended as it was told to, or that is older
    than a day, is no reason.
    """
    waiting: list[Port] = []
    down: list[tuple[Port, OwnContainer | None]] = []
    # What the others register with comes first.
    for name in sorted(ports.services, key=lambda name: "regist" not in name):
        port = ports.services[name]
        if port.state in (State.STRANGER, State.UNTOLD) or wrong_service(port):
            waiting.append(port)
        elif port.state is State.FREE and name in moved.services:
            yield _elsewhere(port, moved.services[name], starts.commands[name])
        elif port.state is State.FREE:
            down.append((port, _ended(containers, name)))
    failed = [container for _, container in down if container and has_failed(container)]
    if failed and len(failed) == len(down):
        raise Blocked("DOCK624", f"container {failed[0].name} ended with an error")
    for port, container in down:
        yield _not_running(port, starts.commands[port.address.service], logs, container)
    if waiting and len(waiting) == len(ports.services):
        # With others running, those that NET401 names are left to it.
        one = waiting[0]
        words = "can't be told to be" if one.state is State.UNTOLD else "is not"
        raise Blocked("NET401", f"port {one.address.port} {words} {one.address.service}'s")


def _elsewhere(port: Port, moved: MovedService, start: str) -> Finding:
    name, address, holder = port.address.service, port.address, moved.holder
    process, there = holder.process, holder.listeners[0]
    assert process
    why = f" ({moved.setting} in its environment)" if moved.setting else ""
    return Finding(
        f"{name} runs at {there} and not at {address}, where the platform looks for it{why}",
        looked_at=f"a connection to {address.reached_at}:{address.port}; what listens elsewhere",
        found=f"refused: nothing listens there; {holder}",
        wanted=f"{name} at {address}",
        target=name,
        next_step=f"stop it (kill {process.pid}) and start it again"
        + (f" without {moved.setting}" if moved.setting else "")
        + f": {start}; or write "
        + (
            f"{there.address} where the platform reads its host"
            if there.port == address.port
            else f"{there.port} where the platform reads its port"
            + (f", {address.variable} of its settings" if address.variable else "")
        ),
    )


def _not_running(port: Port, start: str, logs: Logs, container: OwnContainer | None) -> Finding:
    name, address = port.address.service, port.address
    found, more = "refused: nothing listens there", {}
    if container:
        found += f"; container {container.name} is {container.state} ({container.exit_code})"
        start = f"docker compose up -d {name}"
    start = f"saas-doctor up {name} (by hand: {start})"
    why = reason(logs, name)
    if why:
        more["log"] = f"{why.where}: {why.text}"
    elif name in logs.closed:
        more["log"] = f"can't be read: {logs.closed[name]}"
    return Finding(
        f"{name} is not running" + (why.words if why else ""),
        looked_at=f"a connection to {address.reached_at}:{address.port}",
        found=found,
        wanted=f"{name} at {address}",
        target=name,
        next_step=why.before(start) if why else start,
        more=more,
    )


def _ended(containers: Containers, service: str) -> OwnContainer | None:
    """The service's container, where one was made and has ended."""
    try:
        found = containers.of(service)
    except Unreadable:
        return None
    return None if found is None or found.runs else found


@check(
    "SVC702",
    symptoms=(
        r"Server disconnected without sending a response",
        r"Exception in ASGI application",
        r"Internal Server Error",
    ),
)
def service_answers_badly(
    ports: Ports, answers: Answers, starts: Starts, logs: Logs
) -> Iterator[Finding]:
    """A running service answers its health path with an error, late, or not at all.

    **Detected** by a GET of the health path (`health` of the service in saas-doctor.toml, else
    `/`), by no proxy, within 3 seconds. An answer that takes longer than a second, twice, is a
    warning: work that blocks holds up the whole service. A service that wants https is told. Where
    its log ends with an error, that is the reason.
    **To mend**, read the service's log (`logs/`).
    **Silent** about 404 and every other answer below 500, and about another program on the port,
    which is NET401.
    """
    for name, answer in answers.services.items():
        port = ports.of(name)
        if port is None or port.state is not State.OWN or wrong_service(port):
            continue
        # A process that never answers holds its port for nothing, which is NET401.
        in_container = port.holder is not None and port.holder.process is None
        bad = answer.problem in ("closed", "not HTTP", "TLS") or (
            answer.problem == "silent" and in_container
        )
        if bad or answer.slow or (answer.status or 0) >= 500:
            yield _badly(port, answer, starts.commands[name], logs)


def _badly(port: Port, answer: Answer, start: str, logs: Logs) -> Finding:
    name = port.address.service
    late = answer.slow and (answer.status or 0) < 500
    why = None if late or answer.problem == "TLS" else reason(logs, name, besides=("SVC702",))
    again = f"read the service's log ({logs.names[name]}, or `docker compose logs {name}`), then "
    again += f"start it again: {start}"
    if late:
        said = f"answers {answer.url} only after {answer.seconds:.1f} s"
        again = f"look for what blocks in {name}: a call without `await`, a pool that is used up"
    elif answer.problem == "TLS":
        said = "wants https, and the platform calls it by http"
        again = f"start {name} without a certificate (ssl_certfile, --ssl-keyfile), as the others"
    elif answer.status:
        said = f"answers {answer.url} with {answer.shown.partition(':')[0]}"
    else:
        said = f"does not answer {answer.url}"
    return Finding(
        f"{name} {said}" + (why.words if why else ""),
        looked_at=f"GET {answer.url}",
        found=f"{answer.shown}; {port.holder}",
        wanted="an HTTP answer below 500, within a second",
        target=name,
        next_step=why.before(again) if why else again,
        severity=Severity.WARNING if late else None,
        more={"log": f"{why.where}: {why.text}"} if why else {},
    )
