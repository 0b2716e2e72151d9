"""What the files of `env_file` and `label_file` add to a service's environment and labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from saas_doctor.compose.spec import EnvFile, Pairs, Service, Variables
from saas_doctor.compose.variables import NotValid, lookup_in, read_env
from saas_doctor.reading import read_bytes


class NoEnvFile(Exception):
    """A file that can't be used, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def environment(service: Service, variables: Mapping[str, str]) -> Variables:
    """The service's environment with that of its files below it; raises NoEnvFile."""
    own = {k: v for k, v in service.environment.items() if v is not None}
    found = dict(own)
    for file in service.env_file:
        found.update(_read(file, (variables, own), found))
    return {**found, **service.environment}


def labels(service: Service) -> Pairs:
    """The service's labels with those of its files below them; raises NoEnvFile."""
    found: dict[str, str] = {}
    for path in service.label_file:
        found.update(_read(EnvFile(path=path), (), found))
    return {**found, **service.labels}


def _read(
    file: EnvFile, sources: Iterable[Mapping[str, str]], before: Mapping[str, str]
) -> dict[str, str]:
    if file.format not in ("", "raw"):
        raise NoEnvFile(file.path, f"the format {file.format!r} is not known")
    try:
        text = read_bytes(Path(file.path)).decode("utf-8-sig")
        found = read_env(text, lookup_in(*sources), raw=file.format == "raw", before=before)
    except FileNotFoundError:
        if file.required:
            raise NoEnvFile(
                file.path, "it is not there; write it, or say `required: false`"
            ) from None
        return {}
    except OSError as error:
        raise NoEnvFile(file.path, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise NoEnvFile(file.path, "it is not UTF-8 text") from None
    except NotValid as error:
        line = text.count("\n", 0, error.index) + 1
        raise NoEnvFile(file.path, f"line {line}: {error}") from None
    return {variable.key: variable.value for variable in found}
