"""The platform's settings file."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from saas_doctor.facts.address_readers import malformed, put_right, refused
from saas_doctor.facts.address_uses import AddressUse, AddressUses
from saas_doctor.facts.configured import ConfiguredPaths
from saas_doctor.facts.dotenv import EnvExample, EnvFile, Setting
from saas_doctor.facts.port_uses import PortUses
from saas_doctor.facts.required_settings import RequiredSettings
from saas_doctor.facts.requirements import Requirements
from saas_doctor.facts.settings_classes import SettingsClasses
from saas_doctor.facts.source import Source
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "CFG901",
    symptoms=(
        r"Couldn't find env file: (?P<file>\S+)",
        r"env file (?P<file>\S+) not found",
        r"Field required \[type=missing, input_value=\{",
    ),
)
def settings_file_missing(
    env: EnvFile, example: EnvExample, required: RequiredSettings, platform: Platform
) -> Iterator[Finding]:
    """The settings file `.env` is missing.

    The services then run with defaults, or do not start: `Field required`.

    **Detected** where an example (`.env.example`) is shipped and the file it is for is not there.
    An error where the code is proven to read such a file and to require a key of the example that
    nothing else sets; else a warning.
    **Fixed** by making the file from the example, readable by you alone; `undo` removes it while it
    is still the same. Values such as passwords are the example's: look through them.
    **Silent** when the environment of the shell sets every key of the example, and where the Compose
    file gives its services the example itself and the code reads no file.
    """
    unset = [s.key for s in example.file.settings if s.key not in platform.environ]
    if env.there is None and unset:
        needed = required.among(unset)
        if not needed and required.example_serves(example.file.path):
            return
        yield Finding(
            f"{env.name} is missing" + (f", and the code requires {needed[0]}" if needed else ""),
            looked_at=str(env.path) + (f"; {needed[1]}" if needed else ""),
            found="nothing",
            wanted=f"the settings that {example.file.name} lists ({', '.join(unset[:4])}, ...)",
            target=env.name,
            severity=None if needed else Severity.WARNING,
            next_step=f"saas-doctor fix --select CFG901 makes it from {example.file.name}",
        )


@check("CFG902", needs=("CFG901",), symptoms=(r"python-dotenv could not parse statement",))
def settings_line_unreadable(env: EnvFile, example: EnvExample) -> Iterator[Finding]:
    """A line of the settings file can't be read, so its setting is lost.

    python-dotenv leaves such a line out, with no more than a warning in the log.

    **Detected** by python-dotenv's own parser.
    **Fixed** where the line is meant for a key of the example, by the example's line; `undo` brings
    the old line back.
    **Silent** about comments, blank lines and `export`.
    """
    keys = {s.key: s for s in example.file.settings}
    for place, whole in env.file.bad:
        # An open quote takes the lines after it along, up to the next quote: they are not touched.
        text, *lost = whole.splitlines()
        key = next((k for k in keys if re.match(rf"(?:export\s+)?{re.escape(k)}\s*=", text)), None)
        yield Finding(
            f"{place.path} line {place.line} can't be read"
            + (f": {key} is lost" if key else "")
            + (f", and {len(lost)} line(s) after it" if lost else ""),
            looked_at=str(place),
            found=_without_value(text, keys),
            wanted="KEY=value, with a closed quote where there is one",
            target=key or str(place),
            place=place,
            next_step=f"correct line {place.line} of {place.path}",
            data={"text": text, "key": key, "no_fix": key is None or env.file.find(key)},
        )


def _without_value(line: str, keys: Container[str]) -> str:
    """What is told of a line that can't be read: its key at most, for the rest may be a secret."""
    before, sign, _ = line.removeprefix("export ").partition("=")
    words = before.split()
    named = _NAME if sign and len(words) == 1 else _NAME_OF_WORDS
    if not words or not (words[0] in keys or named.fullmatch(words[0])):
        what = "no KEY=value"
    elif named is _NAME:
        what = f"{words[0]}= with a value that can't be read"
    else:
        what = f"{words[0]} with no = behind it"
    return f"{what} (the line is not shown: it may be secret)"


_NAME = re.compile(r"[A-Z][A-Z0-9_]*|[a-z][a-z0-9_]*")
_NAME_OF_WORDS = re.compile(r"[A-Z]+(?:_[A-Z]+)+")


@check(
    "CFG903",
    needs=("CFG901",),
    symptoms=(
        r"Could not parse SQLAlchemy URL from",
        r"Can't load plugin: sqlalchemy\.dialects:postgres\b",
        r"Request URL is missing an 'http://' or 'https://' protocol",
        r"Redis URL must specify one of the following schemes",
    ),
)
def address_not_valid(
    env: EnvFile,
    uses: AddressUses,
    source: Source,
    requirements: Requirements,
    platform: Platform,
) -> Iterator[Finding]:
    """An address in the settings file is not one that its reader accepts.

    Each reader has rules of its own. SQLAlchemy refuses `postgres://` since 1.4; asyncpg and psycopg
    take it, and refuse `postgresql+asyncpg://`, which SQLAlchemy wants.

    **Detected** in the database's, Redis' and the registry's addresses: scheme, host and port, blanks
    around it, a NUL, and what SQLAlchemy does not decode in the database's name (`%2D`); where the
    source proves who is given the address as it stands there: SQLAlchemy's engines, asyncpg,
    psycopg, databases, Redis' client, httpx and requests (settings, their properties and names
    followed across files). A warning where something else decides whether that call is made. A port
    that no reader takes is a warning where it can't be told who reads it.
    **Fixed** where the scheme alone is missing, or is SQLAlchemy's old one: it is put right, the
    rest of your value stays; `undo` brings the old one back.
    **Silent** about a setting that is not there (its default then counts), about an address that the
    code rewrites (`.replace("postgres://", ...)`) or puts together, about one that is given to
    nothing known here, and about dialects beside Postgres.
    """
    config = platform.config
    database = config.database.variable if config.database else ""
    redis = config.redis.variable if config.redis else ""
    for key in dict.fromkeys(filter(None, ("REGISTRY_URL", database, redis))):
        setting = env.file.find(key)
        if not setting:
            continue
        given = [u for u in uses.of(key) if u.as_it_is and u.spot.written == setting.value]
        wrong = [(use, why) for use in given if (why := refused(use.reader, use.text))]
        if setting.value.startswith("postgres:") and uses.sees_to_old_scheme:
            continue
        sure = [(use, why) for use, why in wrong if use.sure]
        if wrong:
            use, why = (sure or wrong)[0]
            mended = _mended(setting.value, given, requirements)
            yield _not_valid(setting, why, use, mended, slight=not sure)
        elif not given and "://" in setting.value and any(source.mentioning(key, key.lower())):
            why = "" if _PLACEHOLDER.search(setting.value) else malformed(setting.value, hosts=True)
            if why:
                yield _not_valid(setting, why, None, "", slight=True)


_PLACEHOLDER = re.compile(r"[{}<>$%]")


def _not_valid(
    setting: Setting, why: str, use: AddressUse | None, mended: str, *, slight: bool
) -> Finding:
    return Finding(
        f"{setting.key} is not a valid address: {why}",
        looked_at=str(setting.place)
        + (f"; {use.reader.name} is given it at {use.place}" if use else ""),
        found=setting.value or "an empty value",
        wanted=f"{use.reader.usual if use else 'scheme://'}host:port",
        target=setting.key,
        place=setting.place,
        severity=Severity.WARNING if slight else None,
        next_step=f"correct {setting.key} in {setting.place.path}",
        data={"key": setting.key, "value": mended, "no_fix": not mended},
    )


def _mended(value: str, uses: list[AddressUse], requirements: Requirements) -> str:
    """The value with its scheme put right, where all that are given it then take it; else nothing."""
    asyncio = any(use.asyncio for use in uses)
    if asyncio and not requirements.find("asyncpg"):
        return ""  # which driver is meant can't be told
    scheme = "postgresql+asyncpg" if asyncio else uses[0].reader.schemes[0]
    mended = put_right(value, scheme)
    return "" if any(refused(use.reader, mended) for use in uses) else mended


@check("CFG907", severity=Severity.WARNING, needs=("CFG901",))
def setting_given_twice(env: EnvFile) -> Iterator[Finding]:
    """A key stands twice in the settings file, with two values; the last one counts.

    Whoever corrects the first line sees no change.

    **Detected** by python-dotenv's own parser.
    **To mend**, remove the line that is not meant.
    **Silent** where both lines say the same, and where the second builds on the first (`${KEY}`).
    """
    seen: dict[str, Setting] = {}
    for setting in env.file.settings:
        first = seen.setdefault(setting.key, setting)
        one, other = (env.file.data[s.start : s.end] for s in (first, setting))
        if one.strip(b"'\"") == other.strip(b"'\"") or f"${{{setting.key}".encode() in other:
            continue
        yield Finding(
            f"{setting.key} stands twice in {env.name}",
            looked_at=f"{first.place}; {setting.place}",
            found="two values",
            wanted="one; the last counts",
            target=setting.key,
            place=setting.place,
            next_step=f"remove one of {first.place} and {setting.place}",
        )


@check("CFG914", needs=("CFG902", "CFG906"))
def setting_leads_nowhere(
    env: EnvFile, uses: PortUses, classes: SettingsClasses
) -> Iterator[Finding]:
    """A port in the settings file is none that there is.

    Whatever listens at it, or connects to it, ends in `port must be 0-65535`.

    **Detected** for keys that end in `PORT`, are a number beyond 65535, and are proven to be taken
    for a port by the code: given as `port=`, to a parameter of that name, in a pair with a host, or
    behind it in an address. A warning where it is no more than a whole number of the settings.
    **To mend**, write the port that is meant.
    **Silent** about 0, which means any free port, and numbers below it, which turn something off;
    about what is no number, and about keys that the code takes for texts, or not at all.
    """
    for setting in env.file.settings:
        number = re.fullmatch(r"\s*(\d{1,20})\s*", setting.value)
        last = env.file.find(setting.key) is setting
        if not number or not last or not re.search(r"(?i)(?:^|_)PORT$", setting.key):
            continue
        if int(number[1]) <= 65535:
            continue
        use = uses.of(setting.key)
        if use and use.written != setting.value:
            continue  # another value counts
        field = _number_field(classes, setting.key)
        if use or field:
            yield Finding(
                f"{setting.key} is {number[1]}, which is no port",
                looked_at=f"{setting.place}; {use.place if use else field}",
                found=number[1],
                wanted="1 to 65535",
                target=setting.key,
                place=setting.place,
                severity=None if use else Severity.WARNING,
                next_step=f"correct {setting.key} in {setting.place.path}",
            )


def _number_field(classes: SettingsClasses, key: str) -> Place | None:
    """The field of the settings that takes a key as a whole number."""
    fields = (f for cls in classes.found if not cls.doubt for f in cls.fields)
    same = (f for f in fields if key.lower() in [name.lower() for name in f.keys or ()])
    return next((field.place for field in same if field.type.kind == "int"), None)


@check("CFG915", severity=Severity.WARNING)
def configured_path_missing(paths: ConfiguredPaths) -> Iterator[Finding]:
    """The doctor's configuration names a folder or file that is not there.

    The checks that would look into it are then skipped, without anybody having wanted that.

    **Detected** for the paths that `saas-doctor.toml` (or `[tool.saas-doctor]`) itself names: the
    back end, services, the front end, requirements, the compose file, the example.
    **To mend**, correct the path; the nearest one that is there is named.
    **Silent** about what is found without being named, and about the environment and the settings
    file, which may have to be made first and have checks of their own.
    """
    for named in paths.named:
        if not named.exists:
            yield Finding(
                f"`{named.key}` of the configuration is {named.path}, which is not there",
                looked_at=str(named.place),
                found=f"no {named.path}",
                wanted=named.near or "a path that is there",
                target=named.key,
                place=named.place,
                next_step=f"write {named.near} at {named.place}"
                if named.near
                else f"correct `{named.key}` at {named.place}",
            )
