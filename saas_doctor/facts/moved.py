"""The platform's services that run, and not at the port that the platform knows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from saas_doctor.facts import Fact
from saas_doctor.facts.holders import Holder, Owners
from saas_doctor.facts.listeners import listening_programs
from saas_doctor.facts.ports import Ports, State
from saas_doctor.platform import Platform

# What runs a service is called so, or (on Linux) as the command that started it.
_PROGRAM = re.compile(r"python|pypy|uvicorn|gunicorn|hypercorn|granian|fastapi", re.I)


class MovedService(Struct, frozen=True):
    """A service with what listens for it, and the setting of its own environment that says where."""

    holder: Holder
    setting: str = ""


class Moved(Fact, frozen=True):
    """Where the services run whose own ports are free; looked for only where some are."""

    services: Mapping[str, MovedService]

    live = True
    limit = 4.5

    @classmethod
    def read(cls, platform: Platform, ports: Ports) -> Moved:
        missing = {name for name, port in ports.services.items() if port.state is State.FREE}
        found: dict[str, MovedService] = {}
        owners = Owners(platform)
        for listener in listening_programs(_PROGRAM) if missing else ():
            holder = owners.holder([listener])
            name = holder.service
            if name in missing and name not in found and holder.process:
                variable = platform.config.services[name].port_variable or "PORT"
                found[name] = MovedService(holder, _set(variable, listener.port, holder))
        return cls(found)


def _set(variable: str, port: int, holder: Holder) -> str:
    """`CORE_PORT=9000`, where that is in the environment of one of its processes."""
    import psutil

    processes = (*(one.process for one in holder.listeners), holder.process)
    for process in processes:
        try:
            environ = psutil.Process(process.pid).environ() if process else {}
        except (psutil.Error, OSError):
            continue
        for name in (variable, "PORT"):
            if environ.get(name) == str(port):
                return f"{name}={port}"
    return ""
