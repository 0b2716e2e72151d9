"""What the code's settings classes make of the settings files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from saas_doctor.facts.dotenv import Setting, is_placeholder
from saas_doctor.facts.elsewhere import Elsewhere
from saas_doctor.facts.environment_uses import EnvironmentUse, EnvironmentUses, refused_number
from saas_doctor.facts.environment_writes import EnvironmentWrites
from saas_doctor.facts.interpreter import Interpreter
from saas_doctor.facts.setting_fields import SettingField, SettingsClass
from saas_doctor.facts.setting_sources import (
    SettingSources,
    Text,
    View,
    sets_field,
    shared,
    text_of,
)
from saas_doctor.facts.setting_types import beyond, refusal
from saas_doctor.facts.settings_classes import SettingsClasses
from saas_doctor.facts.versions import Versions
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.platform import Platform
from saas_doctor.rules import check

_SECRET = re.compile(r"secret|password|passwd|token|(?:api|private|access|signing)_?key", re.I)
_EXACT = "2.7"
"""The pydantic-settings since which a variable that begins like a field's is one of its own."""


@check(
    "CFG904",
    needs=("CFG901", "CFG902"),
    symptoms=(
        r"(?P<key>\w+)\s+Field required \[type=missing",
        r"(?P<key>\w+)\s+field required \(type=value_error\.missing\)",
        r"KeyError: '(?P<key>[A-Z][A-Z0-9_]+)'",
    ),
)
def setting_missing(
    classes: SettingsClasses,
    uses: EnvironmentUses,
    sources: SettingSources,
    elsewhere: Elsewhere,
    writes: EnvironmentWrites,
    platform: Platform,
    interpreter: Interpreter,
) -> Iterator[Finding]:
    """A setting that the code requires is set nowhere: the services do not start.

    Pydantic says `Field required`, with the name of the field, when the settings are made;
    `os.environ["X"]` ends in a `KeyError`.

    **Detected** in classes proven to be settings (`BaseSettings`) that are surely made, as
    pydantic-settings looks for a field: its aliases or prefix, the shell, then the files that the
    class names or `load_dotenv` loads; and for `os.environ["X"]` that surely runs, where
    `load_dotenv` loads a file.
    **Fixed** where the example (`.env.example`) has a line for it, by that line; `undo` takes it
    out again. Secrets and placeholders of the example are not copied.
    It is a warning where a script or another env file names the variable too: it may be set where
    those count. So it is where the compose file or a Dockerfile does, and there is no environment
    on this machine: then containers alone may run the services.
    **Silent** about a class that reads no file that is there, about a variable that only those
    other files name, and not the example, and about one that the code itself puts into the
    environment (`os.environ["X"] = ...`, `os.environ.update(...)`); and where the class, its sources or what makes
    it can't be told: computed file names, sources of its own, validators that see all values.
    """
    told: set[str] = set()
    for cls in classes.found:
        if cls.doubt or cls.open or cls.rewrites:
            continue
        required = [f for f in cls.fields if f.required and f.keys and str(f.place) not in told]
        views = sources.views(cls) if required else ()
        if not any(view.all_files for view in views):
            continue
        missing = [
            field
            for field in required
            if not any(sets_field(view, cls, field) for view in views)
            and not any(map(writes.may_set, field.keys or ()))
        ]
        shipped = {s.key.lower() for s in (sources.example.settings if sources.example else ())}
        read = {file.path for view in views for file in view.all_files}
        named = [f for f in missing if any(elsewhere.names(k, read) for k in f.keys or ())]
        # In containers it may be there; but who ships it in the example means it for the file.
        slight = [f for f in named if any(key.lower() in shipped for key in f.keys or ())]
        sure = [f for f in missing if f not in named]
        if (sure or slight) and classes.made(cls):
            told |= {str(field.place) for field in missing}
            yield from _missing(cls, sure, views, sources, platform)
            for finding in _missing(cls, slight, views, sources, platform):
                target = f"{finding.target}:here"
                # Where an environment is made, services are started without the containers too.
                native = interpreter.exists and all(
                    elsewhere.is_containers_alone(key, read)
                    for field in slight
                    for key in field.keys or ()
                )
                severity = None if native else Severity.WARNING
                yield replace(finding, severity=severity, target=target)

    for use in uses.required if sources.loads_files else ():
        if use.key not in told:
            views = sources.views_of_process(use.module)
            files = {file.path: file.name for view in views for file in view.all_files}
            is_set = any(view.text([use.key]) for view in views)
            is_set = is_set or writes.may_set(use.key) or elsewhere.names(use.key, files)
            if files and not is_set:
                told.add(use.key)
                yield _not_in_environment(use, list(files.values()))


def _not_in_environment(use: EnvironmentUse, files: Sequence[str]) -> Finding:
    return Finding(
        f"{use.key} is set nowhere, and the code takes it from the environment",
        looked_at=f"{', '.join(files)}; the shell; {use.place}",
        found=f"no {use.key}",
        wanted=f'a value for os.environ["{use.key}"]',
        target=f"{use.module.name}:{use.key}",
        place=use.place,
        next_step=f"set {use.key} in {files[0]}",
        data={"no_fix": True},
    )


def _missing(
    cls: SettingsClass,
    fields: Sequence[SettingField],
    views: Sequence[View],
    sources: SettingSources,
    platform: Platform,
) -> Iterator[Finding]:
    """One finding for what the example has a usable line for, and one for the rest."""
    files = list(dict.fromkeys(file.name for view in views for file in view.all_files))
    shipped = {s.key.lower(): s for s in (sources.example.settings if sources.example else ())}
    lines: list[tuple[SettingField, Setting]] = []
    others: list[SettingField] = []
    for field in fields:
        line = next((shipped[k.lower()] for k in field.keys or () if k.lower() in shipped), None)
        if line and _may_be_copied(line) and files == [platform.config.env_file]:
            lines.append((field, line))
        else:
            others.append(field)
    if lines:
        yield _of_missing(cls, [f for f, _ in lines], files, [line for _, line in lines], [])
    if others:
        yield _of_missing(cls, others, files, [], sources.absent(cls))


def _of_missing(
    cls: SettingsClass,
    fields: Sequence[SettingField],
    files: Sequence[str],
    lines: list[Setting],
    absent: Sequence[str],
) -> Finding:
    keys = [(f.keys or ("",))[0] for f in fields]
    keys = [line.key for line in lines] or (keys if cls.sensitive else [k.upper() for k in keys])
    names = ", ".join(keys[:5]) + (", ..." if len(keys) > 5 else "")
    step = f"make {absent[0]}" if absent else f"set {names} in {files[0]}"
    return Finding(
        f"{names} {'is' if len(keys) == 1 else 'are'} set nowhere, and {cls.name} requires "
        f"{'it' if len(keys) == 1 else 'them'}",
        looked_at=f"{', '.join(files)}; the shell; {', '.join(str(f.place) for f in fields[:5])}",
        found=f"no line {', '.join(f'{key}=...' for key in keys[:5])}"
        + (f"; {absent[0]} is not there" if absent else ""),
        wanted=", ".join(f"{line.key}={line.value}" for line in lines) or "a value",
        target=f"{cls.module.name}:{cls.name}{'' if lines else ':own'}",
        place=fields[0].place,
        next_step="saas-doctor fix --select CFG904 takes the example's line" if lines else step,
        data={"lines": {line.key: line.value for line in lines}, "no_fix": not lines},
    )


def _may_be_copied(line: Setting) -> bool:
    value = line.value
    return bool(value) and not _SECRET.search(line.key) and not is_placeholder(value)


@check(
    "CFG905",
    needs=("CFG902",),
    symptoms=(r"Extra inputs are not permitted \[type=extra_forbidden",),
)
def setting_refused(
    classes: SettingsClasses, sources: SettingSources, versions: Versions
) -> Iterator[Finding]:
    """The settings class refuses a key of its own settings file: the services do not start.

    pydantic-settings 2 forbids, unless it is told otherwise, every key of the file that is no field
    (`Extra inputs are not permitted`), also one that is there for another program.

    **Detected** in classes proven to be settings that are surely made, for the files they name.
    **To mend**, write `extra="ignore"` in the class's `model_config`, or take the line out.
    **Silent** about keys without a value, about Pydantic 1, which ignores them, about variables of
    the shell, which are never refused, and about keys that begin like a field that may be nested.
    """
    exact = versions.at_least("pydantic-settings", _EXACT)
    told: set[tuple[str, ...]] = set()
    for cls in classes.found:
        if cls.version != 2 or cls.doubt or cls.rewrites or cls.extra != "forbid":
            continue
        views = [view for view in sources.views(cls) if view.files] if cls.env_file else []
        if not views or any(field.keys is None for field in cls.fields):
            continue
        refused = [_refused_keys(view, cls, exact=bool(exact)) for view in views]
        first = {k: s for k, s in refused[0].items() if all(k in other for other in refused)}
        files = tuple(dict.fromkeys(s.place.path for s in first.values()))
        if not first or (cls.name, *files) in told or not classes.made(cls):
            continue
        told.add((cls.name, *files))
        others = {
            k.lower() for c in classes.found if c is not cls for f in c.fields for k in f.keys or ()
        }
        # Keys of another class are right where they stand: what fails is this class.
        at_class = all(setting.key.lower() in others for setting in first.values())
        yield _refused(cls, list(first.values()), cls.place if at_class else None)


def _refused(cls: SettingsClass, settings: Sequence[Setting], place: Place | None) -> Finding:
    names = ", ".join(s.key for s in settings[:5]) + (", ..." if len(settings) > 5 else "")
    file = settings[0].place.path
    lines = ", ".join(f"{s.place.line}" for s in settings)
    return Finding(
        f"{cls.name} refuses {names} in {file}",
        looked_at=f"{file}, line {lines}; {cls.place}",
        found=f"{len(settings)} key(s) that are no fields, and nothing that allows them",
        wanted='extra="ignore" in its model_config',
        target=f"{cls.module.name}:{cls.name}",
        place=place or settings[0].place,
        next_step=f'write extra="ignore" in the configuration of {cls.name} ({cls.place}), or '
        f"take the line(s) out of {file}",
    )


def _refused_keys(view: View, cls: SettingsClass, *, exact: bool) -> dict[str, Setting]:
    """The keys of the class's own files that are none of its fields, by their folded names."""

    def folded(name: str) -> str:
        return name if cls.sensitive else name.lower()

    known = {folded(key) for field in cls.fields for key in field.keys or ()}
    # In some releases a variable belongs to the field that its name begins with.
    loose = tuple(
        folded(key)
        for field in cls.fields
        for key in field.keys or ()
        if field.type.kind in ("", "list", "map") or not exact
    )
    names = {field.name.lower() for field in cls.fields} if cls.prefix else set()
    values = {folded(s.key): s for file in view.files for s in file.settings}
    return {
        key: setting
        for key, setting in values.items()
        if setting.value
        and not setting.bare
        and key not in known
        and not key.startswith(loose)
        and key.lower() not in names
    }


@check(
    "CFG906",
    needs=("CFG902",),
    symptoms=(
        r"error parsing (?:value for field|env var) \"(?P<key>\w+)\"",
        r"(?P<key>\w+)\s+Input should be a valid (?:integer|number|boolean|list|dictionary|URL)",
        r"(?P<key>\w+)\s+value (?:is not a valid (?:integer|float)|could not be parsed to a boolean)",
    ),
)
def setting_does_not_parse(
    classes: SettingsClasses,
    uses: EnvironmentUses,
    sources: SettingSources,
    writes: EnvironmentWrites,
) -> Iterator[Finding]:
    """A setting's value is not one that its field takes: the services do not start.

    Above all a list: pydantic-settings reads it as JSON (`["http://localhost:5173"]`), and a text
    with commas ends in `error parsing value for field`, also where a validator would split it.

    **Detected** in classes proven to be settings that are surely made: whole numbers, numbers, true
    and false, lists and objects, choices, addresses, durations, and bounds that are written out;
    and where `int(os.getenv("X"))` surely runs.
    **Fixed** where a list is written with commas, by the same as JSON; `undo` brings the old text
    back. Other values are yours to choose.
    **Silent** about types of the code's own, unions, fields that a validator turns into something
    else before they are checked, variables that the code itself sets, and where two files may be
    read that say different things.
    """
    told: set[tuple[str, str]] = set()
    for cls in classes.found:
        fields = [f for f in cls.fields if f.keys and (f.type.kind or f.type.decoded)]
        if cls.doubt or not fields:
            continue
        views = sources.views(cls)
        for field in fields:
            text = shared([text_of(view, cls, field) for view in views])
            why = _why_refused(text, field, cls) if text else ""
            if not text or not why or (text.where, field.name) in told or not classes.made(cls):
                continue
            if any(key.lower() in writes.by_services for key in field.keys or ()):
                continue
            told.add((text.where, field.name))
            yield _unparsed(cls, field, text, why)

    for use in uses.numbers:
        views = sources.views_of_process(use.module)
        text = shared([view.text([use.key]) for view in views])
        why = refused_number(text.value, use.number) if text else ""
        why = "" if use.key.lower() in writes.by_services else why
        if text and why and (text.where, use.key) not in told:
            told.add((text.where, use.key))
            yield _no_number(use, text, why)


def _no_number(use: EnvironmentUse, text: Text, why: str) -> Finding:
    return Finding(
        f"{use.key} is not what the code takes: {why}",
        looked_at=f"{text.where}; {use.place}",
        found=f"{text.key}={text.value[:80]}",
        wanted="a number",
        target=text.key,
        place=text.place,
        next_step=f"correct {text.key} in {text.place.path if text.place else 'the shell'}",
        data={"no_fix": True},
    )


def _why_refused(text: Text, field: SettingField, cls: SettingsClass) -> str:
    if cls.version == 1 and field.type.kind == "time":
        return ""  # Pydantic 1 takes seconds
    return refusal(text.value, field.type) or beyond(text.value, field.type, field.limits)


def _unparsed(cls: SettingsClass, field: SettingField, text: Text, why: str) -> Finding:
    mended = _as_json(text.value) if field.type.kind == "list" and field.type.decoded else ""
    wanted = mended or field.type.name or field.type.kind
    shown = text.value if "@" not in text.value and len(text.value) < 80 else "..."
    at = f"correct {text.key} in {text.place.path if text.place else 'the shell'}"
    return Finding(
        f"{text.key} is not what {cls.name} takes: {why}",
        looked_at=f"{text.where}; {field.place}",
        found=f"{text.key}={shown}",
        wanted=wanted,
        target=text.key,
        place=text.place,
        next_step="saas-doctor fix --select CFG906 writes it as a list" if mended else at,
        data={"setting": text.setting, "file": text.file, "value": mended}
        | ({} if mended and text.file else {"no_fix": True}),
    )


_ITEM = re.compile(r"[\w.:/*@+\-\[\]]+")


def _as_json(text: str) -> str:
    """A text with commas as a list in JSON, where its parts are plain words or addresses."""
    parts = [part.strip() for part in text.strip().rstrip(",").split(",")]
    if not all(_ITEM.fullmatch(part) for part in parts) or "[" in text[:1]:
        return ""
    return json.dumps(parts, separators=(",", ":"))
