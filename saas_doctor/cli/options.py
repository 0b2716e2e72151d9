"""The options that commands share, and the platform they name."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from saas_doctor.baseline import Baseline
    from saas_doctor.config import Config
    from saas_doctor.platform import Platform
    from saas_doctor.runner import Selection

Directory = Annotated[
    Path | None,
    typer.Option("-C", "--directory", help="The platform (default: the nearest around here)."),
]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="The configuration file (default: saas-doctor.toml)."),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", help="Only these codes or beginnings of codes (DB, SRC204,NET)."),
]
Ignore = Annotated[
    list[str] | None, typer.Option("--ignore", help="Leave out CODE or CODE:TARGET (with *).")
]
BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", help="The findings accepted (default: .saas-doctor-baseline.json)."),
]
Timeout = Annotated[
    float | None, typer.Option("--timeout", min=0.1, help="Seconds for one examination.")
]


class FailOn(str, Enum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Format(str, Enum):
    """What a command can answer in that has only these two."""

    CONSOLE = "console"
    JSON = "json"


def load_platform(directory: Path | None, config: Path | None) -> Platform:
    """The platform that the options name; raises DoctorError with the way out."""
    from saas_doctor import platform as platforms

    return platforms.load(directory or Path.cwd(), config, named=directory is not None)


def words(values: list[str] | None) -> tuple[str, ...]:
    """Option values that may each hold several words parted by commas."""
    return tuple(w.strip() for v in values or () for w in v.split(",") if w.strip())


def selection(
    config: Config,
    select: list[str] | None,
    ignore: list[str] | None,
    *,
    static: bool = True,
    live: bool = True,
    baseline: Baseline | None = None,
) -> Selection:
    """What the options choose; the configuration's ignores come with their reasons."""
    from saas_doctor.runner import Selection

    ignored = dict(config.ignore) | dict.fromkeys(words(ignore), "--ignore")
    return Selection(words(select), ignored, static=static, live=live, baseline=baseline)


def refuse_together(**modes: bool) -> None:
    """Raises DoctorError where more than one of these is asked for."""
    from saas_doctor.model import DoctorError

    asked = [name for name, is_on in modes.items() if is_on]
    if len(asked) > 1:
        raise DoctorError(f"{' and '.join(asked)} exclude each other; leave one out")
