"""Carries the steps of the plan out: networks, volumes and containers, and back again for a rollback."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from saas_doctor.compose.hashes import config_hash
from saas_doctor.stack import Say, Verb
from saas_doctor.stack.docker import create
from saas_doctor.stack.docker.context import one_file
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.found import Row
from saas_doctor.stack.docker.marks import Scope
from saas_doctor.stack.docker.mounts import written_files
from saas_doctor.stack.docker.plan import Plan, Step, keys_text
from saas_doctor.stack.docker.units import seconds

GRACE = 10.0
"""Seconds that a container is given to end, where nothing else is said."""


class Maker:
    """Makes what the plan says. `keeps`: replaced containers are kept until `commit`, for `undo`."""

    def __init__(self, engine: Engine, scope: Scope, say: Say, *, keeps: bool) -> None:
        self.engine, self.scope, self.say = engine, scope, say
        self.keeps = keeps
        self.containers: dict[str, str] = {}
        """The id of each service's first container, whose namespaces others may share."""
        self._undo: list[Callable[[], object]] = []
        """Each asks for the client of its own thread, which is another one than the maker's."""
        self._left: list[str] = []
        self._lock = threading.Lock()

    def network(self, key: str) -> None:
        api, network = self.engine.api, self.scope.project.networks[key]
        self.say(network.name, "creating the network")
        from docker.types import IPAMConfig, IPAMPool

        pools = [
            IPAMPool(p.subnet or None, p.ip_range or None, p.gateway or None, dict(p.aux_addresses))
            for p in network.ipam.config
        ]
        driver = network.ipam.driver or "default"
        ipam = IPAMConfig(driver, pools, dict(network.ipam.options) or None)
        made = api.create_network(
            network.name,
            driver=network.driver or None,
            options=dict(network.driver_opts) or None,
            ipam=ipam,
            # Without it the engine makes a second one of the same name, and says nothing.
            check_duplicate=True,
            internal=network.internal,
            attachable=network.attachable or None,
            enable_ipv6=bool(network.enable_ipv6),
            labels=self.scope.network_labels(key),
        )
        self._note(lambda: self.engine.api.remove_network(made["Id"]))

    def volume(self, key: str) -> None:
        volume = self.scope.project.volumes[key]
        self.say(volume.name, "creating the volume")
        self.engine.api.create_volume(
            volume.name,
            driver=volume.driver or None,
            driver_opts=dict(volume.driver_opts) or None,
            labels=self.scope.volume_labels(key),
        )
        self._note(lambda: self.engine.api.remove_volume(volume.name))

    def service(self, plan: Plan, service: str) -> None:
        """Carry out all steps of a service."""
        for step in plan.of(service):
            identity = self._step(plan, step)
            if identity and (step.number == 1 or service not in self.containers):
                self.containers[service] = identity

    def _step(self, plan: Plan, step: Step) -> str:
        api, row = self.engine.api, step.row
        if step.verb is Verb.KEEP and row:
            return row.identity
        if step.verb is Verb.REMOVE and row:
            self.remove(row)
            return ""
        if step.verb is Verb.START and row:
            name = self.scope.container_name(step.service, step.number)
            if row.name.endswith(f"_{name}"):  # what renamed it was cut off before
                api.rename(row.identity, name)
            self._start(row, step.reason)
            return row.identity
        self.say(step.service, f"creating again ({step.reason})" if row else "creating")
        identity = self._create(plan, step)
        api.start(identity)
        return identity

    def _start(self, row: Row, reason: str) -> None:
        api = self.engine.api
        if row.state == "running":
            self.say(row.service, f"restarting ({reason})")
            api.restart(row.identity, timeout=int(self.grace(row.service)))
            return
        self.say(row.service, "starting" + (f" ({reason})" if reason else ""))
        if row.state == "paused":
            api.unpause(row.identity)
            return
        api.start(row.identity)
        self._note(lambda: self.engine.api.stop(row.identity, timeout=int(GRACE)))

    def _create(self, plan: Plan, step: Step) -> str:
        """Make a container; one that it replaces goes only when the engine has taken the new one."""
        api, scope, service, old = self.engine.api, self.scope, step.service, step.row
        spec = scope.project.services[service]
        name = scope.container_name(service, step.number)
        image = plan.images[scope.image_name(service)]
        labels = scope.container_labels(
            service, step.number, image.identity, config_hash(spec), keys_text(spec)
        )
        body = create.arguments(
            scope,
            service,
            step.number,
            image=scope.image_name(service),
            labels=labels,
            containers=self.containers,
            proxies=self.engine.proxies,
            inherited=self._inherited(old) if old else None,
        )
        temporary = f"{old.identity[:12]}_{name}" if old else name
        identity = str(
            api.create_container_from_config(body, temporary, spec.platform or None)["Id"]
        )
        self._note(lambda: self.engine.api.remove_container(identity, force=True, v=not old))
        for key in create.networks(spec)[1:]:
            network, endpoint = create.connection(scope, service, step.number, key)
            connect(self.engine, identity, network, endpoint)
        for place, data, grant in written_files(scope.project, spec, scope.variables):
            mode = int(grant.mode, 8) if grant.mode else 0o444
            owner = (int(grant.uid or 0), int(grant.gid or 0))
            api.put_archive(identity, "/", one_file(place.lstrip("/"), data, mode, owner))
        if old:
            self._replace(old, identity, name)
        return identity

    def _inherited(self, old: Row) -> dict[str, str]:
        """The volumes without name of a container: their data would be lost with it."""
        found = self.engine.api.inspect_container(old.identity)
        named = {entry.split(":")[0] for entry in found["HostConfig"].get("Binds") or ()}
        named |= {m.get("Source") for m in found["HostConfig"].get("Mounts") or ()}
        return {
            mount["Destination"]: mount["Name"]
            for mount in found.get("Mounts") or ()
            if mount.get("Type") == "volume"
            and (mount["Name"] not in named or _is_nameless(mount["Name"]))
        }

    def _replace(self, old: Row, identity: str, name: str) -> None:
        api = self.engine.api
        self.stop(old)
        if self.keeps:
            api.rename(old.identity, f"{old.identity[:12]}_{name}_before")
            with self._lock:
                self._left.append(old.identity)
            runs = old.runs

            def back() -> None:
                self.engine.api.rename(old.identity, old.name)
                if runs:
                    self.engine.api.start(old.identity)

            # Before the removal of the new one, which was noted first, has given the name free.
            self._note(back, at=-1)
        else:
            api.remove_container(old.identity, force=True)
        api.rename(identity, name)

    def remove(self, row: Row) -> None:
        self.stop(row)
        self.discard(row)

    def discard(self, row: Row, *, volumes: bool = False) -> None:
        """Remove a container that does not run any more, and with it its volumes without name."""
        self.say(row.service or row.name, "removing")
        import docker

        with suppress(docker.errors.NotFound):
            self.engine.api.remove_container(row.identity, force=True, v=volumes)

    def stop(self, row: Row) -> None:
        """Stop a container, if it runs."""
        import time

        import docker

        if not row.runs:
            return
        grace = self.grace(row.service)
        self.say(row.service or row.name, "stopping")
        began = time.monotonic()
        with suppress(docker.errors.NotFound):
            if row.state == "paused":
                self.engine.api.unpause(row.identity)
            self.engine.api.stop(row.identity, timeout=int(grace))
        if time.monotonic() - began >= grace > 0:
            self.say(
                row.service or row.name,
                f"did not heed its stop signal, and was killed after {grace:.0f} s "
                "(`init: true` or an exec form of its command lets it heed it)",
            )

    def grace(self, service: str) -> float:
        spec = self.scope.project.services.get(service)
        return seconds(spec.stop_grace_period) if spec and spec.stop_grace_period else GRACE

    def _note(self, back: Callable[[], object], at: int | None = None) -> None:
        if not self.keeps:
            return
        with self._lock:
            self._undo.insert(len(self._undo) if at is None else len(self._undo) + at, back)

    def commit(self) -> None:
        """What was replaced goes."""
        import docker

        for identity in self._left:
            with suppress(docker.errors.NotFound):
                self.engine.api.remove_container(identity, force=True)

    def undo(self) -> None:
        """Take back what was made: the newest first."""
        import docker

        for back in reversed(self._undo):
            with suppress(docker.errors.APIError):
                back()


def _is_nameless(name: str) -> bool:
    return len(name) == 64 and all(sign in "0123456789abcdef" for sign in name)


def connect(engine: Engine, identity: str, network: str, endpoint: Mapping[str, Any]) -> None:
    """Put a container into a network; engines before 25 take one alone when it is created."""
    ipam = endpoint.get("IPAMConfig") or {}
    engine.api.connect_container_to_network(
        identity,
        network,
        aliases=endpoint.get("Aliases"),
        links=[tuple(link.split(":", 1)) for link in endpoint.get("Links") or ()],
        ipv4_address=ipam.get("IPv4Address"),
        ipv6_address=ipam.get("IPv6Address"),
        link_local_ips=ipam.get("LinkLocalIPs"),
        driver_opt=endpoint.get("DriverOpts"),
        mac_address=endpoint.get("MacAddress"),
    )
