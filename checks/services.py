"""The platform's services: running, answering, registered."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.answers import Answers
from saas_doctor.facts.commands import Starts
from saas_doctor.facts.ports import Port, Ports, State, just_started, wrong_service
from saas_doctor.facts.registered import Registered
from saas_doctor.model import Blocked, Finding, Severity
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
def service_not_running(ports: Ports, starts: Starts) -> Iterator[Finding]:
    """A service of the platform is not running.

    **Detected** by its port: nothing listens there.
    **To mend**, start it: the next step is the command, with the platform's own interpreter.
    **Silent** about a service whose port another program holds: that is NET401. Any HTTP answer, a
    404 too, counts as running.
    """
    waiting: list[Port] = []
    for name, port in ports.services.items():
        address = port.address
        if port.state in (State.STRANGER, State.UNTOLD) or wrong_service(port):
            waiting.append(port)
        elif port.state is State.FREE:
            yield Finding(
                f"{name} is not running",
                looked_at=f"a connection to {address.reached_at}:{address.port}",
                found="refused: nothing listens there",
                wanted=f"{name} at {address}",
                target=name,
                next_step=starts.commands[name],
            )
    if waiting and len(waiting) == len(ports.services):
        # With others running, those that NET401 names are left to it.
        raise Blocked(
            "NET401", f"port {waiting[0].address.port} is not {waiting[0].address.service}'s"
        )


@check("SVC702", symptoms=(r"Server disconnected without sending a response",))
def service_answers_badly(ports: Ports, answers: Answers, starts: Starts) -> Iterator[Finding]:
    """A running service answers its health path with an error, or not at all.

    **Detected** by a GET of the health path (`health` of the service in saas-doctor.toml, else
    `/`), by no proxy, within 3 seconds.
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
        bad = answer.problem in ("closed", "not HTTP") or (
            answer.problem == "silent" and in_container
        )
        if bad or (answer.status or 0) >= 500:
            yield Finding(
                f"{name} answers {answer.url} with {answer.shown.partition(':')[0]}"
                if answer.status
                else f"{name} does not answer {answer.url}",
                looked_at=f"GET {answer.url}",
                found=f"{answer.shown}; {port.holder}",
                wanted="an HTTP answer below 500",
                target=name,
                next_step=f"read the service's log (logs/{name}.log, or `docker compose logs "
                f"{name}`), then start it again: {starts.commands[name]}",
            )


@check(
    "SVC703",
    severity=Severity.WARNING,
    symptoms=(
        r"连接注册中心失败",
        r"can't register with (?P<url>\S+)",
        r"[Rr]egistration failed",
        r"Request URL is missing an 'http://' or 'https://' protocol",
    ),
)
def service_not_registered(
    registered: Registered, ports: Ports, answers: Answers
) -> Iterator[Finding]:
    """A service runs, and the registry does not know it.

    The gateway then answers 404 for it. It may have asked too early, at a wrong REGISTRY_URL, or
    through a proxy.

    **Detected** by the registry's own list (`/api/registry/services`), for services whose own code
    registers them.
    **To mend**, correct REGISTRY_URL as that service sees it, and start the service again.
    **Silent** when the registry is not running (SVC701), in the first 10 seconds of a service, and
    about the registry and the gateway themselves.
    """
    for name, line in registered.expected.items():
        port, answer = ports.of(name), answers.of(name)
        if port is None or port.state is not State.OWN or wrong_service(port):
            continue
        if answer is None or answer.problem or registered.knows(name, port.address):
            continue
        process = port.holder.process if port.holder else None
        if just_started(process):
            continue
        yield Finding(
            f"{name} runs, and the registry does not know it",
            looked_at=f"GET {registered.url}",
            found=", ".join(sorted(registered.names)) or "an empty list",
            wanted=f"{name}, which registers itself ({line})",
            target=name,
            next_step=f"look at REGISTRY_URL as {name} sees it and at its log, then start {name} "
            "again",
        )
