"""The platform's Pydantic models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from saas_doctor.facts.changed import ChangedFields
from saas_doctor.facts.deprecated import Deprecated, StillTaken
from saas_doctor.facts.model_config import REMOVED, ModelConfigs, OldKey
from saas_doctor.facts.refused import Refused
from saas_doctor.facts.runs import is_aside
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Place, Severity
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
def pydantic_v1_configuration(configs: ModelConfigs, versions: Versions) -> Iterator[Finding]:
    """A Pydantic model's configuration has a key of Pydantic 1, which Pydantic 2 does not know.

    `orm_mode` raises nothing when the class is made, only a warning; the model then fails when an
    ORM object is turned into it by `from_orm` or `model_validate`. (FastAPI reads the attributes
    of what a route returns all the same.) What the other keys asked for is simply not done.

    **Detected** in classes proven to be Pydantic models, their bases followed across files, in
    `class Config`, `ConfigDict(...)` or a dictionary, their own or one that several models share;
    where Pydantic 2 is installed or, with no environment, required. It is an error where an object
    is surely turned into the model or into one that derives from it; not in tests, examples and
    documentation.
    **Fixed** by renaming the key in place (`from_attributes`); `undo` restores the bytes. Keys that
    Pydantic 2 has no like of are named only, and so are calls of `from_orm`, which still work.
    **Silent** under Pydantic 1, for `pydantic.v1` models, for a configuration that has the new key
    as well, in a branch for one of both versions, and for other classes named `Config`.
    """
    if not versions.at_least("pydantic", "2"):
        return
    alike: dict[tuple[str, ...], list[OldKey]] = {}
    for key in sorted(configs.old_keys, key=lambda k: (k.place.path, k.place.line or 0)):
        # Of those that are only not done, one finding for all of a file.
        own = key.model if key.fails_at or key.from_orm else ""
        alike.setdefault((key.module.name, key.old, str(bool(key.edit)), own), []).append(key)
    for keys in alike.values():
        yield _old_key(keys, versions)


def _old_key(keys: list[OldKey], versions: Versions) -> Finding:
    key, instead = keys[0], REMOVED.get(keys[0].old, "")
    models, also = [k.model for k in keys], [str(k.place) for k in keys[1:]]
    shown = ", ".join(models[:5]) + (f" and {len(models) - 5} more" if len(models) > 5 else "")
    more = {"uses not touched": ", ".join(key.from_orm)} if key.from_orm else {}
    more |= {"also at": ", ".join(also)} if also else {}
    if key.new and key.edit:
        step = _after_rename(key.from_orm)
    elif key.new:
        step = f"write `{key.new}` in place of `{key.old}`"
    else:
        step = f"remove `{key.old}`; in its place: {instead}"
    return Finding(
        f"`{key.old}` in {shown} means nothing under Pydantic 2",
        looked_at=f"{key.place}; {versions.where('pydantic')}",
        found=key.old + (f"; objects are turned into it at {key.fails_at}" if key.fails_at else ""),
        wanted=key.new or f"no such key: Pydantic 2 removed it; in its place: {instead}",
        target=f"{key.module.name}:{key.model}.{key.old}",
        place=key.place,
        also=tuple(k.place for k in keys[1:]),
        severity=Severity.ERROR if key.fails_at and not is_aside(key.module) else None,
        next_step=step,
        data={"keys": keys, "no_fix": key.edit is None},
        more=more,
    )


def _after_rename(from_orm: tuple[str, ...]) -> str:
    step = "saas-doctor fix --select SRC202 renames it"
    if from_orm:
        step += f"; from_orm is deprecated, write model_validate at {', '.join(from_orm)}"
    return step


@check(
    "SRC210",
    symptoms=(
        r"PydanticImportError: `(BaseSettings|pydantic[\w.:]+)` has been (moved|removed)",
        r"cannot import name '\w+' from 'pydantic[\w.]*'",
        r"PydanticUserError: `(regex|const|unique_items)` is removed",
        r"con(str|list|set|bytes)\(\) got an unexpected keyword argument",
        r"If you use `@root_validator` with pre=False",
        r"The `field` and `config` parameters are not available in Pydantic V2",
        r'"Config" and "model_config" cannot be used together',
        r"A non-annotated attribute was detected",
        r"Field '\w+' (requires a type annotation|defined on a base class was overridden by a non-annotated)",
        r"To define root models, use `pydantic\.RootModel`",
        r"`dumps_kwargs` keyword arguments are no longer supported",
        r"(BaseModel\.)?(dict|json)\(\) got an unexpected keyword argument",
        r"\.build\(\) got an unexpected keyword argument 'user'",
        r"__init_subclass__\(\) takes no keyword arguments",
        r"AttributeError: Config$",
        r"The `__modify_schema__` method is not supported in Pydantic v2",
    ),
)
def refused_by_pydantic_2(refused: Refused, versions: Versions) -> Iterator[Finding]:
    """The code uses what Pydantic 2 refuses: it was written for Pydantic 1.

    Most of it fails where the class is made, so the service does not start: `BaseSettings` and
    other names imported from `pydantic`, `Field(regex=...)` and `const=`, `constr(regex=...)`,
    `conlist(min_items=...)`, a bare `@root_validator`, a `@validator` whose function takes `field`
    or `config`, `class Config` beside `model_config`, a field without an annotation, `__root__`, a
    field's type with `__modify_schema__`.
    Some fails when it is called: `.json(indent=...)`, `PostgresDsn.build(user=...)`. A warning in
    tests, examples, scripts and documentation, which no service runs.

    **Detected** where Pydantic 2 is installed or, with no environment, required: by what each name
    stands for, followed through imports, and in classes and objects that are proven to be models.
    **Fixed** where the new form means the same: `pattern=` (with `^` where `regex=` had none, since
    a pattern is searched for), `min_length=`, `skip_on_failure=True`, a renamed key in the class's
    head, and `BaseSettings` from pydantic-settings, which is then required and installed; `undo`
    brings all back. The rest is left to you, with what takes its place.
    **Silent** under Pydantic 1, for `pydantic.v1`, for code that asks which version there is or
    expects the failure, and for objects that only look like models (`response.json(indent=2)`).
    """
    if not versions.at_least("pydantic", "2"):
        return
    settings = bool(
        versions.installed("pydantic-settings") and versions.requirements.find("pydantic-settings")
    )
    for construct in refused.constructs:
        step = (
            "saas-doctor fix --select SRC210 rewrites it"
            if construct.edits
            else f"write {construct.wanted}"
        )
        if construct.needs_settings and not settings:
            step += ", and requires and installs pydantic-settings"
        yield Finding(
            f"{construct.what}{_in(construct.where)} fails under Pydantic 2",
            looked_at=f"{construct.place}; {versions.where('pydantic')}",
            found=construct.what.replace("`", ""),
            wanted=construct.wanted.replace("`", ""),
            target=construct.target,
            place=construct.place,
            severity=Severity.WARNING if is_aside(construct.module) else None,
            next_step=step,
            data={"construct": construct, "no_fix": not construct.edits},
        )


def _in(where: str) -> str:
    return f" in {where}" if where else ""


@check("SRC211", severity=Severity.INFO, symptoms=(r"PydanticDeprecatedSince20",))
def deprecated_by_pydantic_2(taken: StillTaken, versions: Versions) -> Iterator[Finding]:
    """The code uses what Pydantic 2 still takes and Pydantic 3 will not.

    `@validator`, `@root_validator(pre=True)`, `class Config`, `.dict()`, `parse_obj`,
    `Field(min_items=...)` and the like work, each with a `PydanticDeprecatedSince20` warning.

    **Detected** where Pydantic 2 is installed or, with no environment, required; one finding for
    each kind, with its places. Methods count where the object or the class is proven to
    be a model.
    **To mend** it, write what the finding names; `bump-pydantic` does much of it.
    **Silent** under Pydantic 1, for `pydantic.v1`, and for code that is written for either version.
    """
    if not versions.at_least("pydantic", "2"):
        return
    by_kind: dict[str, list[Deprecated]] = {}
    for kind in taken.kinds:
        by_kind.setdefault(kind.kind, []).append(kind)
    for name, kinds in by_kind.items():
        kinds.sort(key=lambda kind: kind.module.name)
        places = [place for kind in kinds for place in kind.places]
        count = f"{len(places)} places" + (f" in {len(kinds)} files" if len(kinds) > 1 else "")
        yield Finding(
            f"{name} is deprecated since Pydantic 2" + (f" ({count})" if len(places) > 1 else ""),
            looked_at=f"{places[0].path}; {versions.where('pydantic')}",
            found=f"{name} at {_listed(places)}",
            wanted=kinds[0].wanted.replace("`", ""),
            target=name,
            place=places[0],
            also=tuple(places[1:]),
            next_step=f"write {kinds[0].wanted}",
        )


def _listed(places: Sequence[Place], limit: int = 10) -> str:
    shown = ", ".join(map(str, places[:limit]))
    return shown + (f" and {len(places) - limit} more" if len(places) > limit else "")


@check(
    "SRC212",
    severity=Severity.WARNING,
    symptoms=(
        r"Field required \[type=missing",
        r"Input should be a valid string \[type=string_type",
    ),
)
def another_meaning_under_pydantic_2(
    changed: ChangedFields, versions: Versions
) -> Iterator[Finding]:
    """A model's field means something else under Pydantic 2 than under Pydantic 1.

    `Optional[int]` without a default was None where it was not given; Pydantic 2 demands it. A
    number given for a `str` became a text; Pydantic 2 refuses it. `Field(env="URL")` named the variable that a setting is read from; pydantic-settings passes over
    it and reads the variable of the field's own name.

    **Detected** where Pydantic 2 is installed or, with no environment, required. Optional fields
    and numbers count only for models that are written for Pydantic 1 (old configuration keys, also
    of a base, or `@validator`), in modules that have nothing of Pydantic 2. Numbers are an error.
    **To mend** it, write `= None`, or `validation_alias=` in place of `env=`.
    **Silent** in code of Pydantic 2, where a field may well be required and None; for `env=` that
    names the field's own variable; and for settings that are read in a way of their own.
    """
    if not versions.at_least("pydantic", "2"):
        return
    for model in changed.optional:
        names = ", ".join(model.fields)
        yield Finding(
            f"{names} of {model.model} must be given under Pydantic 2",
            looked_at=f"{model.place}; {versions.where('pydantic')}",
            found=f"optional, without a default: {names}",
            wanted="= None, unless they are to be given",
            target=f"{model.module.name}:{model.model}",
            place=model.place,
            next_step=f"write `= None` at {names}, unless callers are to give them",
        )
    for number in changed.numbers:
        field = number.fields[0]
        yield Finding(
            f"{number.model} takes no number for {field} under Pydantic 2",
            looked_at=f"{number.place}; {versions.where('pydantic')}",
            found=f"{field}, a text, is given as a number",
            wanted="a text, or `coerce_numbers_to_str=True` in the model's configuration",
            target=f"{number.module.name}:{number.model}.{field}",
            place=number.place,
            severity=Severity.ERROR,
            next_step=f"give {field} as a text at {number.place}",
        )
    for setting in changed.variables:
        name, variables = setting.fields[0], ", ".join(setting.variables)
        yield Finding(
            f"{setting.model}.{name} is not read from {variables} under Pydantic 2",
            looked_at=f"{setting.place}; {versions.where('pydantic')}",
            found=f"Field(env=...): {variables}",
            wanted=f"validation_alias={setting.variables[0]!r}",
            target=f"{setting.module.name}:{setting.model}.{name}",
            place=setting.place,
            next_step=f"write `validation_alias={setting.variables[0]!r}` in place of `env=` "
            "(`AliasChoices(...)` for several)",
        )
