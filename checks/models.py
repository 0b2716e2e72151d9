"""The platform's Pydantic models."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.facts.models import PydanticModels
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Severity
from saas_doctor.rules import check


@check(
    "SRC202",
    severity=Severity.WARNING,
    symptoms=(
        r"Valid config keys have changed in V2",
        r"'orm_mode' has been renamed to 'from_attributes'",
        r"You must set the config attribute `from_attributes=True` to use from_orm",
        r"Input should be a valid dictionary or instance of \w+ \[type=model_type",
    ),
)
def pydantic_v1_configuration(models: PydanticModels, versions: Versions) -> Iterator[Finding]:
    """A Pydantic model's configuration has a key of Pydantic 1, which Pydantic 2 does not know.

    `orm_mode` raises nothing when the class is made, only a warning; the model then fails when an
    ORM object is turned into it (`model_validate`, `from_orm`, a `response_model`).

    **Detected** in classes proven to be Pydantic models, their bases followed across files, where
    Pydantic 2 is installed or, with no environment, required. It is an error where an object is
    turned into the model or into one that derives from it.
    **Fixed** by renaming the key in place (`from_attributes`); `undo` restores the bytes. Keys that
    Pydantic 2 has no like of are named only, and so are calls of `from_orm`, which still work.
    **Silent** under Pydantic 1, for `pydantic.v1` models, for a configuration that has the new key
    as well, and for other classes named `Config`.
    """
    if not models.old_keys or not versions.at_least("pydantic", "2"):
        return
    for key in models.old_keys:
        more = {"uses not touched": ", ".join(key.from_orm)} if key.from_orm else {}
        yield Finding(
            f"`{key.old}` in {key.model} means nothing under Pydantic 2",
            looked_at=f"{key.place}; {versions.where('pydantic')}",
            found=key.old
            + (f"; objects are turned into it at {key.objects_at}" if key.objects_at else ""),
            wanted=key.new or "no such key: Pydantic 2 removed it",
            target=f"{key.module.name}:{key.model}.{key.old}",
            place=key.place,
            severity=Severity.ERROR if key.objects_at else None,
            next_step=_after_rename(key.from_orm)
            if key.new
            else f"remove `{key.old}`; Pydantic's migration guide tells what takes its place",
            data={"key": key, "no_fix": key.new is None},
            more=more,
        )


def _after_rename(from_orm: tuple[str, ...]) -> str:
    step = "saas-doctor fix --select SRC202 renames it"
    if from_orm:
        step += f"; from_orm is deprecated, write model_validate at {', '.join(from_orm)}"
    return step
