"""What of volumes, folders and files a container sees, as the engine's arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from saas_doctor.compose.spec import Grant, Mount, Project, Service
from saas_doctor.model import DoctorError
from saas_doctor.stack.docker.units import Json, count, filled


def volumes_from(entry: str, containers: Mapping[str, str]) -> str:
    if entry.startswith("container:"):
        return entry.removeprefix("container:")
    name, _, how = entry.partition(":")
    return f"{containers.get(name, name)}{f':{how}' if how else ''}"


def volumes(
    project: Project, spec: Service, inherited: Mapping[str, str]
) -> tuple[list[str], list[Json], list[str]]:
    """The mounts as binds (whose missing source the engine makes), as mounts (it refuses), and nameless."""
    binds: list[str] = []
    mounts: list[Json] = []
    anonymous: list[str] = []
    taken = {mount.target for mount in spec.volumes}
    for mount in spec.volumes:
        if mount.type == "volume" and not mount.source:
            if mount.target in inherited:
                binds.append(f"{inherited[mount.target]}:{mount.target}:{_access(mount)}")
            else:
                anonymous.append(mount.target)
        elif _is_bind_text(mount):
            source = mount.source
            if mount.type == "volume" and source in project.volumes:
                source = project.volumes[source].name
            binds.append(f"{source}:{mount.target}:{_access(mount)}")
        else:
            mounts.append(_mount(project, mount))
    binds += [f"{name}:{place}:rw" for place, name in inherited.items() if place not in taken]
    mounts += [
        _given_file(project.secrets[g.source].file, _secret_place(g))
        for g in spec.secrets
        if project.secrets[g.source].file
    ]
    mounts += [
        _given_file(project.configs[g.source].file, _config_place(g))
        for g in spec.configs
        if project.configs[g.source].file
    ]
    return binds, mounts, anonymous


def _is_bind_text(mount: Mount) -> bool:
    if mount.type == "volume":
        given = mount.volume
        return not (given and (given.nocopy or given.subpath or given.labels))
    return mount.type == "bind" and mount.bind is not None and mount.bind.create_host_path


def _access(mount: Mount) -> str:
    words = ["ro" if mount.read_only else "rw"]
    if mount.bind:
        words += [word for word in (mount.bind.selinux, mount.bind.propagation) if word]
    return ",".join(words)


def _mount(project: Project, mount: Mount) -> Json:
    source = mount.source
    found = {"Type": mount.type, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.type == "bind" and mount.bind:
        found["BindOptions"] = filled(Propagation=mount.bind.propagation)
    if mount.type == "volume":
        source = project.volumes[source].name if source in project.volumes else source
        if given := mount.volume:
            found["VolumeOptions"] = filled(
                NoCopy=given.nocopy, Labels=dict(given.labels), Subpath=given.subpath
            )
    if mount.type == "tmpfs" and mount.tmpfs:
        found["TmpfsOptions"] = filled(SizeBytes=count(mount.tmpfs.size), Mode=mount.tmpfs.mode)
    if mount.type == "image" and mount.image:
        found["ImageOptions"] = filled(Subpath=mount.image.subpath)
    return found | ({"Source": source} if source else {})


def _given_file(file: str, place: str) -> Json:
    return {"Type": "bind", "Source": file, "Target": place, "ReadOnly": True}


def _secret_place(grant: Grant) -> str:
    target = grant.target or grant.source
    return target if target.startswith("/") else f"/run/secrets/{target}"


def _config_place(grant: Grant) -> str:
    return grant.target or f"/{grant.source}"


def written_files(
    project: Project, spec: Service, variables: Mapping[str, str]
) -> Iterator[tuple[str, bytes, Grant]]:
    """The secrets and configs that no file holds: their place, content, owner and mode."""
    for grants, sources, place in (
        (spec.secrets, project.secrets, _secret_place),
        (spec.configs, project.configs, _config_place),
    ):
        for grant in grants:
            source = sources[grant.source]
            if source.file:
                continue
            if spec.read_only:
                raise DoctorError(
                    f"{grant.source} can't be written into it, since it is `read_only`: "
                    "give the secret or config a `file`"
                )
            if source.environment:
                if source.environment not in variables:
                    raise DoctorError(
                        f"{grant.source}: the variable {source.environment}, which holds it, is not set in this shell"
                    )
                yield place(grant), variables[source.environment].encode(), grant
            else:
                yield place(grant), source.content.encode(), grant
