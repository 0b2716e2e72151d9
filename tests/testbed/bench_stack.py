"""Times `up`, an `up` with nothing to do, and `down` of a stack, beside the real Compose and a floor.

The floor makes the same containers through the Docker SDK in threads, its plan known beforehand:
what no program that waits for health can be faster than.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import yaml

from tests.testbed import compose, engine, platforms
from tests.testbed.stack import PROJECT, Stack, checked, needs, service, stack
from tests.testbed.timing import Argv, seconds

CONSOLE = Path(sys.executable).with_name("saas-doctor")
HEALTHY = "service_healthy"
Services = dict[str, dict[str, Any]]


def five() -> Services:
    """Three health checks in a row, each asked every second."""
    check = checked(interval="1s")
    return {
        "db": service(healthcheck=check),
        "cache": service(healthcheck=check),
        "api": service(healthcheck=check, depends_on={n: needs(HEALTHY) for n in ("db", "cache")}),
        "web": service(healthcheck=check, depends_on={"api": needs(HEALTHY)}),
        "worker": service(healthcheck=check, depends_on={"api": needs(HEALTHY)}),
    }


def fifty() -> Services:
    """Two that are asked for their health, 24 services that wait for it, 24 that wait for those.

    Fifty health checks a second would be all that the machine does.
    """
    check = checked(interval="1s", timeout="10s", retries=10)
    found: Services = {name: service(healthcheck=check) for name in ("db", "cache")}
    for n in range(24):
        found[f"api{n}"] = service(depends_on={name: needs(HEALTHY) for name in ("db", "cache")})
        found[f"web{n}"] = service(depends_on={f"api{n}": needs()})
    return found


def rows(environ: Mapping[str, str]) -> Iterable[str]:
    """The benchmark's lines; starts an engine where none answers."""
    with (
        engine.engine() as host,
        tempfile.TemporaryDirectory(prefix="sd-bench-") as folder,
        stack(host, Path(folder)) as made,
    ):
        made.write(five())
        yield from _compared(made, "5 services", environ, runs=6)
        made.write(fifty())
        yield from _compared(made, "50 services", environ, runs=1)


def _compared(made: Stack, name: str, environ: Mapping[str, str], *, runs: int) -> Iterable[str]:
    around = {**environ, "DOCKER_HOST": made.host, "COMPOSE_PROGRESS": "quiet"}
    real = str(compose.COMPOSE)
    ours: dict[str, Argv] = {
        "up": [CONSOLE, "up"],
        "up, nothing to do": [CONSOLE, "up"],
        "down": [CONSOLE, "down"],
    }
    peer: dict[str, Argv] = {
        "up": [real, "up", "-d", "--wait"],
        "up, nothing to do": [real, "up", "-d"],
        "down": [real, "down"],
    }
    floor: dict[str, Argv] = {
        part: [sys.executable, "-m", __spec__.name, part, str(made.folder)]
        for part in ("up", "down")
    }
    times: dict[str, list[list[float]]] = {part: [] for part in ours}
    for number in range(runs):
        this: dict[str, list[float]] = {part: [] for part in ours}
        for program in (ours, peer, floor):
            for part, argv in program.items():
                here = {**around, "PYTHONPATH": str(platforms.ROOT)}
                this[part].append(seconds(argv, made.folder, here))
                if part != "down":
                    assert _all_up(made), f"{argv} did not bring all up"
            assert made.containers() == {}, f"{program['down']} left something"
        if number or runs == 1:  # the first warms the caches
            for part, found in this.items():
                times[part].append(found)
    for part, measured in times.items():
        mine, other, *least = map(statistics.median, zip(*measured, strict=True))
        ratio = statistics.median(one[0] / one[1] for one in measured)
        line = f"{f'{part}, {name} : Compose 5':<58} {mine * 1000:7.0f} ms  {other * 1000:7.0f} ms"
        note = f"   (floor {least[0] * 1000:.0f} ms)" if least else ""
        yield f"{line}  {ratio:5.2f}x{note}"


def _all_up(made: Stack) -> bool:
    mine = {"label": f"{PROJECT}={made.name}"}
    rows = made.api.containers(filters=mine)
    waits = any(word in row["Status"] for row in rows for word in ("starting", "unhealthy"))
    return not waits and len(rows) == len(made.containers()) > 0


# The floor.


def floor_up(folder: Path) -> None:
    plan = _plan(folder)
    client = docker.DockerClient(base_url=os.environ["DOCKER_HOST"])
    network = client.networks.create(f"{plan['name']}_default", labels=_label(plan)).id
    checked = {name for name, spec in plan["services"].items() if "healthcheck" in spec}
    began: dict[str, str] = {}
    healthy: set[str] = set()

    def start(name: str) -> str:
        spec = plan["services"][name]
        made = client.containers.create(
            spec["image"],
            spec["command"],
            name=f"{plan['name']}-{name}-1",
            init=True,
            labels=_label(plan),
            network=network,
            healthcheck=(
                {"test": spec["healthcheck"]["test"], "interval": 1_000_000_000}
                if name in checked
                else None
            ),
        )
        made.start()
        return str(made.id)

    with ThreadPoolExecutor(4) as pool:
        while len(began) < len(plan["services"]) or not healthy.issuperset(checked):
            there = healthy | (began.keys() - checked)
            ready = [
                name
                for name, spec in plan["services"].items()
                if name not in began and there.issuperset(spec.get("depends_on", ()))
            ]
            began |= zip(ready, pool.map(start, ready), strict=True)
            time.sleep(0.02)
            found = client.api.containers(filters={**_filter(plan), "health": "healthy"})
            ids = {row["Id"] for row in found}
            healthy = {name for name, identity in began.items() if identity in ids}


def floor_down(folder: Path) -> None:
    plan = _plan(folder)
    client = docker.DockerClient(base_url=os.environ["DOCKER_HOST"])

    def remove(row: dict[str, Any]) -> None:
        client.api.stop(row["Id"])
        client.api.remove_container(row["Id"])

    with ThreadPoolExecutor(64) as pool:
        list(pool.map(remove, client.api.containers(filters=_filter(plan))))
    for network in client.networks.list(filters=_filter(plan)):
        network.remove()


def _plan(folder: Path) -> dict[str, Any]:
    with (folder / "compose.yaml").open() as file:
        found: dict[str, Any] = yaml.load(file, yaml.CSafeLoader)
    return found


def _label(plan: Mapping[str, Any]) -> dict[str, str]:
    return {PROJECT: plan["name"], engine.LABEL: "1"}


def _filter(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {"label": f"{PROJECT}={plan['name']}"}


def main() -> None:
    if sys.argv[1:]:
        {"up": floor_up, "down": floor_down}[sys.argv[1]](Path(sys.argv[2]))
        return
    for line in rows({k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}):
        print(line, flush=True)


if __name__ == "__main__":
    main()
