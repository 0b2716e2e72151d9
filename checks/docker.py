"""The platform's Compose file: what it says, and the images that it has built."""

from __future__ import annotations

from collections.abc import Iterator

from saas_doctor.actions.files import EditFile
from saas_doctor.compose.edit import replaced
from saas_doctor.compose.files import NAMES
from saas_doctor.compose.nodes import Problem
from saas_doctor.facts.builds import Builds, Lost, ServiceBuild
from saas_doctor.facts.compose import Compose, UnusedEnvFile
from saas_doctor.model import Finding, Place, Severity, Undecided
from saas_doctor.platform import Platform
from saas_doctor.rules import check


@check(
    "DOCK601",
    symptoms=(
        r"yaml: (line (?P<line>\d+): )?.*(did not find expected|mapping values are not allowed)",
        r"go-yaml load error in (parser|scanner) ",
        r"ERROR: yaml\.(parser|scanner)\.\w+Error",
    ),
)
def compose_file_is_not_yaml(compose: Compose) -> Iterator[Finding]:
    """The Compose file can't be parsed.

    Nothing that Compose does works, and what the doctor would find in it (ports, services) is not
    known.

    **Detected** by a YAML parser, in the file and in those that it includes or that lie over it.
    **Silent** about Compose's own tags, anchors and merges, and where there is no Compose file.
    """
    if compose.broken is None:
        _ = compose.project  # skipped where there is none
        return
    place = compose.broken.place
    yield Finding(
        f"{place.path} can't be parsed: {compose.broken.message}",
        looked_at=place.path,
        found=compose.broken.message,
        wanted="YAML",
        target=place.path,
        place=place,
        next_step=f"correct {place}",
    )


@check(
    "DOCK602",
    needs=("DOCK601",),
    symptoms=(
        r"additional propert(?:y|ies) '(?P<key>[^']+)' not allowed",
        r"validating (?P<file>\S+): \S+ (?:must be a|false schema|missing property|value must be)",
        r"mapping key \"(?P<key>[^\"]+)\" already defined",
        r"service \"(?P<service>[^\"]+)\" (?:has neither an image nor a build|refers to undefined|depends on undefined)",
        r"dependency cycle detected: (?P<ring>.+)",
        r"Circular reference:",
        r"unknown anchor '(?P<anchor>[^']+)' referenced",
        r"invalid interpolation format for (?P<key>\S+)",
        r"invalid (?:hostPort|containerPort|proto|spec): ",
        r"Unsupported config option for services\.(?P<service>\S+): '(?P<key>[^']+)'",
        r"service '(?P<service>[^']+)' depends on service '(?P<other>[^']+)' which is undefined",
    ),
)
def compose_file_is_not_valid(compose: Compose) -> Iterator[Finding]:
    """Compose refuses the Compose file, though it is YAML.

    No command of Compose works then, also for services that have nothing to do with the mistake.

    **Detected** by the Compose Specification's schema (as of Compose 5.6) and by Compose's rules:
    keys and types, keys that stand twice, names of services, networks, volumes, secrets and configs
    that lead nowhere, rings of `depends_on`, ports, mounts and durations that can't be read,
    `${...}` that is not closed. `version: 3` without quotes is such a mistake, too.
    **Fixed** where a key is nearly one that is allowed there, or a number stands for a text: it is
    corrected, all else stays; `undo` brings the old one back. All other mistakes are yours to
    decide.
    **Silent** about `x-` keys, the obsolete `version`, Compose's own tags, variables that have no
    value, and what a part that lies elsewhere (`oci://`, a git address) may hold. A mistake in a
    service that only a profile starts is a warning.
    """
    for problem, starts in compose.problems:
        edit = _correction(problem)
        yield Finding(
            f"Compose refuses {problem.file.name}: {problem.message}",
            looked_at=str(problem.place),
            found=problem.file.text[problem.start : problem.end].partition("\n")[0] or "nothing",
            wanted=f"`{problem.near}`" if problem.near else "what the Compose Specification allows",
            target=f"{problem.place}",
            place=problem.place,
            next_step="saas-doctor fix --select DOCK602"
            if edit
            else f"correct {problem.place}, then run `docker compose config -q`",
            severity=None if starts else Severity.WARNING,
            data={"no_fix": edit is None, "edit": edit},
        )


def _correction(problem: Problem) -> EditFile | None:
    """The edit that puts the nearest right word in the place of the wrong one."""
    near = problem.near
    if not near:
        return None
    why = f"{near} for {problem.file.text[problem.start : problem.end]}"
    return replaced(problem.file, problem.start, problem.end, near, why, wanted=near.strip('"'))


@check(
    "DOCK603",
    severity=Severity.WARNING,
    needs=("DOCK601",),
    symptoms=(r"Found multiple config files with supported names: (?P<files>.+)",),
)
def two_compose_files(compose: Compose) -> Iterator[Finding]:
    """Two Compose files lie in one folder, and they differ: only one of them counts.

    Compose takes the first of `compose.yaml`, `compose.yml`, `docker-compose.yml` and
    `docker-compose.yaml`; the old `docker-compose` (version 1) took the last two first. Who changes
    the other one wonders why nothing happens.

    **Detected** where the bytes of the two differ.
    **To mend** it, remove one, or give it another name and call it with `-f`.
    **Silent** about override files (`compose.override.yaml`), about a file that the first includes
    or extends, and where COMPOSE_FILE names the files.
    """
    folder = (
        {Place(name).path for name in (compose.name, *compose.alike)} if compose.name else set()
    )
    _ = compose.project
    for name in compose.alike:
        first = min(folder, key=lambda path: NAMES.index(path.rpartition("/")[2]))
        second = name if name != first else compose.name
        yield Finding(
            f"{second} is not read: Compose takes {first}",
            looked_at=", ".join(sorted(folder)),
            found="two Compose files that differ",
            wanted="one, or one that includes the other",
            target=second,
            place=Place(second),
            next_step=f"keep what is wanted of {second} in {first}, and remove or rename {second}",
        )


@check(
    "DOCK604",
    needs=("DOCK601",),
    symptoms=(
        r"failed to read dockerfile: open (?P<file>[^:]+): no such file or directory",
        r"Cannot locate specified Dockerfile: (?P<file>\S+)",
        r"unable to evaluate symlinks in Dockerfile path",
        r"unable to prepare context: path \"(?P<folder>[^\"]+)\" not found",
        r"(?:resolve|lstat) (?P<folder>\S+): (?:no such file or directory|The system cannot find)",
        r"dockerfile parse error (?:on )?line (?P<line>\d+): (?P<what>.+)",
        r"the Dockerfile \([^)]*\) cannot be empty|file with no instructions",
        r"no build stage in current context",
        r"env file (?P<file>.+?) not found|Couldn't find env file: (?P<old>\S+)",
    ),
)
def named_file_is_missing(
    compose: Compose, builds: Builds, platform: Platform
) -> Iterator[Finding]:
    """A Dockerfile, a build context or an env file that the Compose file names can't be used.

    Without the env file no command of Compose works; without the Dockerfile the service can't be
    built.

    **Detected** where the path, as Compose resolves it (`dockerfile` from the context, the context
    and `env_file` from the file that names them), leads nowhere; where a Dockerfile is empty, has
    no FROM, begins with something else, or holds an instruction that there is not; and where
    Compose can't read an env file.
    **Fixed** for an env file whose example lies beside it: it is made from that, readable by you
    alone; `undo` removes it. Look through its values.
    **Silent** about git addresses and other contexts that lie elsewhere, paths with a variable that
    has no value, `required: false`, a Dockerfile for another front end than Docker's own
    (`# syntax=`), and the settings file that CFG901 tells of. An env file that everybody makes for
    himself (a `.env`, or what git is told to ignore) is a warning, several of them one, as is a
    service that only a profile starts.
    """
    example = platform.path(platform.config.env_example)
    own = platform.path(platform.config.env_file)
    done: set[str] = set()
    by_hand: list[UnusedEnvFile] = []
    for unused in compose.unused_env_files:
        if (unused.file.path == own and unused.example == example) or unused.name in done:
            continue
        done.add(unused.name)
        if unused.private and not unused.example and not unused.reason:
            by_hand.append(unused)
        else:
            yield _unused_env_file(unused)
    if len(by_hand) > 1:
        yield _to_be_made(by_hand, compose.name)
    else:
        yield from map(_unused_env_file, by_hand)
    for build in builds.builds:
        for finding in _flaws_of(build):
            if finding.target not in done:
                done.add(finding.target)
                yield finding


def _unused_env_file(unused: UnusedEnvFile) -> Finding:
    place = unused.file.node.place
    return Finding(
        f"{unused.name}, an env file of {unused.service.name}, "
        + (f"can't be read: {unused.reason}" if unused.reason else "is not there"),
        looked_at=f"{place} ({unused.file.path})",
        found=unused.reason or "nothing",
        wanted="KEY=value lines",
        target=unused.name,
        place=place,
        next_step="saas-doctor fix --select DOCK604 makes it from its example"
        if unused.example
        else f"make {unused.name}, or set `required: false` for it",
        severity=Severity.WARNING if unused.private or not unused.service.active else None,
        data={"no_fix": not unused.example, "example": unused.example, "unused": unused},
    )


def _to_be_made(files: list[UnusedEnvFile], compose: str) -> Finding:
    """One finding for the env files that everybody makes for himself."""
    names = [unused.name for unused in files]
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    place = files[0].file.node.place
    return Finding(
        f"{len(files)} env files of {compose} are not there: {shown}",
        looked_at=", ".join(str(unused.file.node.place) for unused in files),
        found="nothing",
        wanted="KEY=value lines",
        target=compose,
        place=place,
        next_step=f"make {shown}, or set `required: false` for them",
        severity=Severity.WARNING,
        data={"no_fix": True},
    )


def _flaws_of(build: ServiceBuild) -> Iterator[Finding]:
    service, severity = build.service.name, None if build.service.active else Severity.WARNING
    node = build.build.node
    if build.missing:
        what = "context" if build.missing == "context" else "Dockerfile"
        named = node.get(build.missing) or node if node.kind == "map" else node
        near = f"; {build.near} is there" if build.near else ""
        yield Finding(
            f"{build.name}, the {what} of {service}, is not there{near}",
            looked_at=f"{named.place}",
            found=build.near or "nothing",
            wanted=f"the {what} at {build.name}",
            target=build.name,
            place=named.place,
            next_step=f"correct the path in {named.place}, or make {build.name}",
            severity=severity,
            data={"no_fix": True},
        )
    for flaw in build.dockerfile.flaws if build.dockerfile else ():
        inline = bool(build.build.inline)
        place = node.place if inline else Place(build.name, flaw.line)
        yield Finding(
            f"{'The Dockerfile of ' + service if inline else build.name} can't be built: {flaw.message}",
            looked_at=str(place),
            found=flaw.message,
            wanted="instructions that begin with FROM",
            target=f"{build.name}:{flaw.line}",
            place=place,
            next_step=f"correct line {flaw.line} of {build.name}",
            severity=severity,
            data={"no_fix": True},
        )


@check(
    "DOCK605",
    needs=("DOCK601",),
    symptoms=(
        r"failed to calculate checksum of ref .*\"/?(?P<path>[^\"]+)\": not found",
        r"failed to compute cache key: .*\"/?(?P<path>[^\"]+)\"?:? not found",
        r"COPY failed: file not found in build context or excluded by \.dockerignore: stat (?P<path>[^:]+)",
        r"(?:COPY|ADD) failed: forbidden path outside the build context: (?P<path>\S+)",
        r"(?:COPY|ADD) failed: stat .*: no such file or directory",
    ),
)
def copied_path_is_missing(builds: Builds) -> Iterator[Finding]:
    """A Dockerfile copies what is not in its build context.

    The builder gets the files below the context and no others, less what `.dockerignore` leaves
    out. It tells upper and lower case apart, also where this machine does not.

    **Detected** for `COPY`, `ADD` and `RUN --mount=type=bind` in the stages that the service's
    target needs, with the arguments that the Compose file gives. `../x` means `x` inside of the
    context.
    **To mend** it, correct the path, the context, or the line of the ignore file.
    **Silent** about paths with wildcards, addresses, heredocs, `--from`, variables that can't be
    told, and symbolic links. What git is told to ignore is only a warning: another step makes it.
    """
    done: set[str] = set()
    for build in builds.builds:
        for lost in build.lost:
            target = f"{build.name}:{lost.path}"
            if target not in done:
                done.add(target)
                yield _lost(build, lost, target)


def _lost(build: ServiceBuild, lost: Lost, target: str) -> Finding:
    context = build.service.loaded.name(build.build.context) if build.build.context else ""
    context = "the platform's folder" if context == "." else context
    place = Place(build.name, lost.source.instruction.line)
    if build.build.inline:
        place = build.build.node.place
    doing = f"{place} {'copies' if lost.source.instruction.name != 'RUN' else 'mounts'} {lost.path}"
    step = f"correct {place}, or the context in {build.build.node.place}"
    if lost.pattern and build.ignored:
        where = f"{build.ignored.name}:{lost.pattern.line}"
        why, found = f"which {where} leaves out of the build", f"`{lost.pattern.text}` in {where}"
        step = f"add `!{lost.path}` to the end of {build.ignored.name}, or correct its line"
    elif lost.outside:
        why, found = f"and {lost.outside} lies outside of its context, {context}", lost.outside
        step = (
            f"let the context of {build.service.name} be a folder that holds it, or copy it there"
        )
    else:
        why = f"which is not in its context, {context}"
        why += f"; {lost.near} is" if lost.near else ""
        found = lost.near or "nothing"
    if lost.kept_back:
        step = f"run what makes {lost.path} before the build"
    mild = lost.kept_back or not build.service.active
    return Finding(
        f"{doing}, {why}",
        looked_at=f"{place}, {build.build.node.place}",
        found=found,
        wanted=f"{lost.path} in {context}",
        target=target,
        place=place,
        next_step=step,
        severity=Severity.WARNING if mild else None,
    )


@check(
    "DOCK606",
    severity=Severity.WARNING,
    needs=("DOCK601",),
    symptoms=(
        r"the --(?P<flag>\w+) option requires BuildKit",
        r"failed to parse platform : \"\" is an invalid component",
        r"BuildKit is enabled but the buildx component is missing or broken",
    ),
)
def classic_builder_can_not(builds: Builds) -> Iterator[Finding | Undecided]:
    """A Dockerfile needs BuildKit, and the classic builder is asked for.

    The classic builder knows no `RUN --mount`, no `COPY --link` or `--chmod`, no heredocs (it reads
    their lines as instructions) and no `$BUILDPLATFORM`. BuildKit has been the default of Docker
    since 23 and of `docker compose` from its beginning.

    **Detected** where `DOCKER_BUILDKIT=0` is set in this shell, in the `.env` beside the Compose
    file, or in a Makefile or shell script of the platform.
    **To mend** it, take that setting away.
    **Silent** where nothing asks for the classic builder, which is nearly everywhere.
    """
    needing = [b for b in builds.builds if b.dockerfile and b.dockerfile.buildkit_only]
    if not needing or not builds.classic:
        return
    done: set[str] = set()
    for build in needing:
        instruction, what = build.dockerfile.buildkit_only[0] if build.dockerfile else (None, "")
        if instruction is None or build.name in done:
            continue
        done.add(build.name)
        place = Place(build.name, instruction.line)
        yield Finding(
            f"{build.name} needs BuildKit ({what}), and {builds.classic} asks for the classic builder",
            looked_at=f"{place}, {builds.classic}",
            found=f"DOCKER_BUILDKIT=0 in {builds.classic}",
            wanted="DOCKER_BUILDKIT unset, or 1",
            target=build.name,
            place=place,
            next_step=f"take DOCKER_BUILDKIT=0 out of {builds.classic}",
        )
