"""The Compose project that the stack is made from: the platform's, or that of the files named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from saas_doctor.compose.canonical import Canonical, opened
from saas_doctor.compose.files import chosen, load
from saas_doctor.compose.model import Project
from saas_doctor.compose.nodes import Broken, Problem
from saas_doctor.facts.compose import lies_in
from saas_doctor.model import DoctorError
from saas_doctor.platform import Platform
from saas_doctor.redact import redact


def project_of(
    platform: Platform,
    *,
    files: Sequence[Path] = (),
    profiles: Sequence[str] = (),
    services: Sequence[str] = (),
    name: str = "",
) -> Canonical:
    """The platform's canonical project; see `opened` for what the choices mean.

    Raises DoctorError where there is no Compose file, or one that can't be read; what else is
    wrong are the project's `errors`.
    """
    if not files and platform.config.compose_file is None:
        raise DoctorError(
            f"{platform.root}: no Compose file; write a compose.yaml, or name it with --file or"
            " `compose-file` in saas-doctor.toml"
        )
    try:
        paths, folder = list(files), None
        if platform.config.compose_file and not files:
            paths = chosen(platform.path(platform.config.compose_file), platform.environ)
            if paths[0].parent != platform.root:
                loaded = load(paths, platform.environ, platform.relative)
                folder = platform.root if lies_in(platform.root, Project(loaded)) else None
        return opened(
            paths,
            platform.environ,
            shown=platform.relative,
            folder=folder,
            name=name,
            profiles=profiles,
            services=services,
        )
    except Broken as error:
        raise DoctorError(f"{error.problem.place}: not YAML: {error}") from None
    except OSError as error:
        what = platform.relative(Path(error.filename)) if error.filename else "the Compose file"
        raise DoctorError(f"{what}: can't be read: {error.strerror or error}") from None


def sentences(problems: Iterable[Problem]) -> Iterator[str]:
    """Each problem with its file, line and column; secrets masked."""
    for problem in problems:
        yield redact(f"{problem.place}: {problem.message}")
