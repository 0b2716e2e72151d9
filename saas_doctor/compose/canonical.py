"""The canonical model of a loaded project: every form the long one, every default written out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from saas_doctor.compose import spec
from saas_doctor.compose.agreement import contradictions
from saas_doctor.compose.consistency import inconsistencies
from saas_doctor.compose.environments import NoEnvFile, environment, labels
from saas_doctor.compose.files import dotenv, load
from saas_doctor.compose.model import STARTED, Project
from saas_doctor.compose.naming import VARIABLE, project_name
from saas_doctor.compose.nodes import Node, Problem, at
from saas_doctor.compose.scalars import Bad
from saas_doctor.compose.schema import validate
from saas_doctor.compose.shapes import Shaper
from saas_doctor.compose.support import ignored, obsolete, refused, refused_beside
from saas_doctor.model import DoctorError, Place

T = TypeVar("T", spec.Network, spec.Volume, spec.Source)
_SHARED = ("network_mode", "ipc", "pid", "uts", "cgroup")


class Canonical(Struct, frozen=True):
    """A project as it is to run; with `errors` it is not to be run, and may lack what they are about.

    `folder` and `files` are absolute: the working folder and the Compose files, in their order.
    `variables` is what secrets and configs take from the `environment`, the shell's over `.env`.
    `places` are where the services stand; `known` are all that the files have, whatever their profile. Errors and warnings name a file, a line and a key.
    """

    project: spec.Project
    folder: Path
    files: tuple[Path, ...]
    variables: Mapping[str, str]
    places: Mapping[str, Place]
    known: frozenset[str]
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


def opened(
    paths: Sequence[Path],
    environ: Mapping[str, str],
    *,
    shown: Callable[[Path], str] = str,
    folder: Path | None = None,
    name: str = "",
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
) -> Canonical:
    """Load a project from its files and make it canonical.

    `folder` is where it lies, if not where the first file does; `shown` gives a path as messages
    show it. `name` and `profiles` go before what the files and the environment say; `services`
    chooses these and what they depend on. Raises OSError and Broken as `load` does, and
    DoctorError for a name that can't be one, or a service that is not there.
    """
    paths = [path.absolute() for path in paths]
    folder = (folder or paths[0].parent).absolute()
    environ = {"PWD": os.getcwd(), **environ}
    name = project_name(name, paths, folder, {**dotenv(folder, environ), **environ}, shown)
    loaded = load(paths, {**environ, VARIABLE: name}, shown, folder)
    if profiles:
        loaded = replace(loaded, profiles=",".join(profiles))
    return canonical(Project(loaded), name, tuple(paths), services)


def canonical(
    project: Project, name: str, files: tuple[Path, ...], services: Sequence[str] = ()
) -> Canonical:
    """The project with this name; of its services those chosen, or all whose profiles are asked for."""
    return _Canonizer(project, name, files, services).made()


class _Canonizer:
    def __init__(
        self, project: Project, name: str, files: tuple[Path, ...], services: Sequence[str]
    ) -> None:
        self.loaded = project.loaded
        self.project = _with_profiles_of(project, services)
        self.name = name
        self.files = files
        self.chosen = services
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.shaper = Shaper(self.loaded.variables, self._note)

    def made(self) -> Canonical:
        self.errors += [*self.loaded.problems, *self.loaded.required, *self.loaded.elsewhere]
        if not self.errors:
            self.errors += validate(self.project.root, sure=True)
            self.errors += [
                problem
                for service, problem in inconsistencies(self.project)
                if service is None or service.enabled
            ]
        if not self.project.root.entries:
            self.errors.append(Problem("the Compose file is empty", self.loaded.files[0], 0))
        services = self._services() if not self.errors else {}
        project = spec.Project(
            name=self.name,
            services=services,
            networks=self._declared("networks", spec.Network, services),
            volumes=self._declared("volumes", spec.Volume, services),
            secrets=self._declared("secrets", spec.Source, services),
            configs=self._declared("configs", spec.Source, services),
        )
        self._warn(services)
        places = {k: s.place for k, s in self.project.services.items() if k in services}
        return Canonical(
            project,
            self.project.folder,
            self.files,
            self.loaded.variables,
            places,
            frozenset(self.project.services),
            tuple(self.errors),
            tuple(self.warnings),
        )

    def _services(self) -> dict[str, spec.Service]:
        """The services that are to run."""
        enabled = {k: s for k, s in self.project.services.items() if s.enabled}
        made: dict[str, spec.Service] = {}
        quiet = replace(self.shaper, warn=lambda *_: None)
        for key, service in self.project.services.items():
            shaper = self.shaper if key in enabled else quiet
            try:
                shaped = shaper.part(spec.Service, service.node)
            except Bad as error:
                self.errors.append(at(error.node, f"services.{key}: {error}", key))
                continue
            if key in enabled:
                self.errors += contradictions(key, shaped, service.node)
                made[key] = _normal(shaped, service.node)
        wanted = self._with_needed(made)
        return {
            key: self._complete(key, service, wanted)
            for key, service in made.items()
            if key in wanted
        }

    def _with_needed(self, made: Mapping[str, spec.Service]) -> set[str]:
        """The services chosen, with all that they depend on."""
        if not self.chosen:
            return set(made)
        for name in self.chosen:
            if name not in self.project.services:
                known = ", ".join(sorted(self.project.services)) or "none"
                raise DoctorError(f"there is no service {name} (there are: {known})")
        wanted: set[str] = set()
        left = [name for name in self.chosen if name in made]
        while left:
            name = left.pop()
            if name not in wanted:
                wanted.add(name)
                left += [other for other in made[name].depends_on if other in made]
        return wanted

    def _complete(self, key: str, service: spec.Service, wanted: set[str]) -> spec.Service:
        """The service with what its files say, and without what it is not brought up with."""
        node = self.project.services[key].node
        self.errors += [*self._undeclared(key, service), *refused(key, node)]
        self.warnings += ignored(key, node)
        try:
            service = replace(
                service, environment=environment(service, self.loaded.variables), env_file=()
            )
            service = replace(service, labels=labels(service))
        except NoEnvFile as error:
            place = node.get("env_file") or node.get("label_file") or node
            shown = self.loaded.name(Path(error.path))
            self.errors.append(at(place, f"services.{key}: {shown} can't be used: {error}", shown))
        if self.chosen:
            kept = {k: d for k, d in service.depends_on.items() if k in wanted}
            service = replace(service, depends_on=kept)
        return service

    def _undeclared(self, key: str, service: spec.Service) -> Iterator[Problem]:
        """The names that variables without a value have left of those that a service gives."""
        node = self.project.services[key].node
        for section, names in _USED.items():
            declared = self.project.declared(section)
            for name in names({key: service}):
                if name not in declared and (section, name) != ("networks", "default"):
                    place = node.get(section) or node
                    yield at(place, f"services.{key}.{section}: {name!r} is not declared", name)
        for name in service.depends_on:
            if name not in self.project.services:
                place = node.get("depends_on") or node
                yield at(place, f"services.{key}.depends_on: there is no service {name!r}", name)

    def _declared(
        self, section: str, kind: type[T], services: Mapping[str, spec.Service]
    ) -> dict[str, T]:
        """The things of a section that services use, with the engine's names for them."""
        declared = self.project.declared(section)
        wanted = set(_USED[section](services))
        found: dict[str, T] = {}
        if section == "networks" and "default" in wanted and "default" not in declared:
            found["default"] = kind(name=f"{self.name}_default")
        for key, node in declared.items():
            try:
                made = kind() if node.is_null else self.shaper.part(kind, node)
            except Bad as error:
                self.errors.append(at(error.node, f"{section}.{key}: {error}", key))
                continue
            if key in wanted:
                found[key] = self._named(section, key, node, made)
        return found

    def _named(self, section: str, key: str, node: Node, made: T) -> T:
        self.errors += refused_beside(section, key, node)
        if node.get("name") and not made.name:
            self.errors.append(at(node.entries["name"].key, f"{section}.{key} has an empty name"))
        return replace(made, name=made.name or (key if made.external else f"{self.name}_{key}"))

    def _note(self, node: Node, message: str) -> None:
        self.warnings.append(at(node, message))

    def _warn(self, services: Mapping[str, spec.Service]) -> None:
        root = self.project.root
        for key, reason in obsolete(root).items():
            entry = root.entries[key]
            self.warnings.append(at(entry.key, f"{key} is left out: {reason}", key))
        unset: set[str] = set()
        nodes = [self.project.services[key].node for key in services]
        for section in ("networks", "volumes", "secrets", "configs"):
            nodes += self.project.declared(section).values()
        for node in nodes:
            for scalar in node.scalars:
                for variable in scalar.unset:
                    if variable not in unset:
                        unset.add(variable)
                        message = f"{variable} is not set, and taken as empty"
                        self.warnings.append(at(scalar, message, variable))


def _with_profiles_of(project: Project, services: Sequence[str]) -> Project:
    """The project with the profiles of these services asked for as well."""
    asked = [p for s in services if s in project.services for p in project.services[s].profiles]
    if not asked:
        return project
    loaded = project.loaded
    return Project(replace(loaded, profiles=",".join([loaded.profiles, *asked])))


def _normal(service: spec.Service, node: Node) -> spec.Service:
    """The service with what follows from its other keys."""
    depends_on = dict(service.depends_on)
    for name, restart in _implied(service):
        depends_on.setdefault(
            name, spec.Dependency(condition=STARTED, restart=restart, required=True)
        )
    networks = service.networks
    if not networks and not node.get("network_mode") and not node.get("provider"):
        networks = {"default": None}
    deploy = service.deploy
    if deploy and service.scale is not None:
        deploy = replace(deploy, replicas=service.scale)
    return replace(service, depends_on=depends_on, networks=networks, deploy=deploy)


def _implied(service: spec.Service) -> Iterator[tuple[str, bool]]:
    """The services that it can't be without, and whether it restarts with them."""
    for link in service.links:
        parts = link.split(":")
        yield parts[0] if len(parts) == 2 else link, True
    for key in _SHARED:
        text: str = getattr(service, key)
        if text.startswith("service:"):
            yield text.removeprefix("service:"), True
    for name in service.volumes_from:
        if not name.startswith("container:"):
            yield name.split(":")[0], False


def _networks(services: Mapping[str, spec.Service]) -> Iterator[str]:
    for service in services.values():
        yield from service.networks


def _volumes(services: Mapping[str, spec.Service]) -> Iterator[str]:
    for service in services.values():
        yield from (m.source for m in service.volumes if m.type == "volume" and m.source)


def _secrets(services: Mapping[str, spec.Service]) -> Iterator[str]:
    for service in services.values():
        grants = (*service.secrets, *(service.build.secrets if service.build else ()))
        yield from (grant.source for grant in grants)


def _configs(services: Mapping[str, spec.Service]) -> Iterator[str]:
    for service in services.values():
        yield from (grant.source for grant in service.configs)


_USED = {"networks": _networks, "volumes": _volumes, "secrets": _secrets, "configs": _configs}
"""The keys of each section that services use."""
