"""The volumes of a stack: which are its own, and an archive of each before it is removed."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from saas_doctor.facts.docker import PROJECT
from saas_doctor.model import DoctorError
from saas_doctor.stack import Say
from saas_doctor.stack.docker.engine import Engine
from saas_doctor.stack.docker.found import Existing
from saas_doctor.stack.docker.marks import MADE_BY, Scope

if TYPE_CHECKING:
    from saas_doctor.stack.saving import Saved


def own(scope: Scope, existing: Existing) -> Iterator[str]:
    """The volumes that the project's files name, and that are no other's."""
    external = {v.name for v in scope.project.volumes.values() if v.external}
    for name, volume in existing.volumes.items():
        if name not in external and (volume.get("Labels") or {}).get(PROJECT) == scope.name:
            yield name


def nameless(engine: Engine, existing: Existing) -> dict[str, str]:
    """The volumes without a name that go with the containers, each with its container's name."""
    found: dict[str, str] = {}
    for row in existing.containers:
        for mount in engine.api.inspect_container(row.identity).get("Mounts") or ():
            name = str(mount.get("Name") or "")
            if mount.get("Type") == "volume" and name not in existing.volumes and _is_id(name):
                found[name] = row.name
    return found


def _is_id(name: str) -> bool:
    return len(name) == 64 and all(sign in "0123456789abcdef" for sign in name)


def sizes(engine: Engine) -> dict[str, int]:
    """How much data the engine's volumes hold, where it tells."""
    import docker

    try:
        answer = engine.api.df()
    except docker.errors.APIError:
        return {}
    return {
        volume["Name"]: int(volume["UsageData"]["Size"])
        for volume in answer.get("Volumes") or ()
        if (volume.get("UsageData") or {}).get("Size", -1) >= 0
    }


def save(engine: Engine, names: Mapping[str, str], saved: Saved, say: Say) -> None:
    """Archive these volumes (each with the container it goes with, or nothing).

    They are read by a container that is made of nothing and never started. Raises DoctorError.
    """
    if not names:
        return
    from saas_doctor.stack.saving import require_space

    known = sizes(engine)
    require_space(saved.platform, sum(known.get(name, 0) for name in names))
    image = _empty_image(engine)
    try:
        for name, container in names.items():
            say(name, "saving its data")
            folder = saved.folder / "volumes"
            folder.mkdir(exist_ok=True)
            path = folder / f"{name}.tar"
            _archive(engine, image, name, path)
            words = f" (of {container}, without a name)" if container else ""
            saved.note(f"volumes/{name}.tar: volume {name}{words}", _way_back(engine, name, path))
    finally:
        import docker

        with suppress(docker.errors.APIError):
            engine.api.remove_image(image, force=True)


def _archive(engine: Engine, image: str, name: str, path: Path) -> None:
    from saas_doctor.stack.saving import verify

    config = engine.api.create_host_config(binds=[f"{name}:/saved:ro"], network_mode="none")
    made = engine.api.create_container(
        image, ["nothing"], host_config=config, labels={MADE_BY: "", "saas-doctor.saves": name}
    )
    try:
        chunks, _ = engine.api.get_archive(made["Id"], "/saved/.")
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
        verify(path)
    except OSError as error:
        raise DoctorError(
            f"the data of volume {name} can't be saved ({error.strerror or error}); nothing was removed"
        ) from None
    finally:
        engine.api.remove_container(made["Id"], force=True)


def _empty_image(engine: Engine) -> str:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w"):
        pass
    answer: str = engine.api.import_image_from_data(archive.getvalue())
    return str(json.loads(answer.strip().splitlines()[-1])["status"])


def _way_back(engine: Engine, name: str, path: Path) -> str:
    labels = engine.api.inspect_volume(name).get("Labels") or {}
    given = " ".join(
        f"--label {shlex.quote(f'{key}={value}')}"
        for key, value in labels.items()
        if key.startswith("com.docker.compose.") or key == "saas-doctor.settings"
    )
    made = f"docker volume create {given} {name}".replace("  ", " ")
    folder = shlex.quote(str(path.parent))
    return (
        f"{made} && docker run --rm -v {name}:/to -v {folder}:/from:ro busybox "
        f"tar -xpf /from/{path.name} -C /to"
    )
