"""`saas-doctor up`: bring the platform's stack up and wait until all of it is healthy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from saas_doctor.cli.options import ConfigFile, Directory
from saas_doctor.cli.stack_options import (
    Docker,
    DryRun,
    EnvFiles,
    Local,
    Profile,
    Services,
    chosen_kind,
    stack_platform,
)

if TYPE_CHECKING:
    from saas_doctor.platform import Platform
    from saas_doctor.stack import Backend, Options


def up(
    services: Services = None,
    directory: Directory = None,
    config: ConfigFile = None,
    env_file: EnvFiles = None,
    local: Local = False,
    docker: Docker = False,
    profile: Profile = None,
    build: Annotated[
        bool, typer.Option("--build", help="Build the images, also those that are there.")
    ] = False,
    no_deps: Annotated[
        bool, typer.Option("--no-deps", help="Without what the services depend on.")
    ] = False,
    force_recreate: Annotated[
        bool, typer.Option("--force-recreate", help="Make what is up to date anew as well.")
    ] = False,
    remove_orphans: Annotated[
        bool,
        typer.Option("--remove-orphans", help="Remove what the Compose file no longer has."),
    ] = False,
    wait_timeout: Annotated[
        float, typer.Option("--wait-timeout", min=0.1, help="Seconds until all has to be healthy.")
    ] = 120.0,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Take back what was made, if not all comes up.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Agree to the fixes that it needs first.")
    ] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Without the checks that come first.")
    ] = False,
    no_fix: Annotated[
        bool, typer.Option("--no-fix", help="Repair nothing; end where a check would stop it.")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Bring the stack up: make what is missing or has changed, start it in order, wait for its health.

    First comes what could stop it: it is examined, and mended like any `saas-doctor fix`, with a plan
    to agree to and a way back; what has no fix ends it before anything is started.
    What fails later is told with its exit code, its health check's answer, the end of its log, and the
    rule that explains it. Exit codes: 0 all is up; 1 something is not; 2 wrong use, or no engine;
    130 interrupted.
    """
    from saas_doctor.cli.screen import say, show
    from saas_doctor.cli.stack_screen import Teller, failure_lines, members_up
    from saas_doctor.stack import Failed, Options, choice

    began = time.monotonic()
    platform = stack_platform(directory, config, env_file)
    name = chosen_kind(platform, local=local, docker=docker)
    options = Options(
        tuple(services or ()),
        build=build,
        deps=not no_deps,
        recreate=force_recreate,
        remove_orphans=remove_orphans,
        wait=wait_timeout,
        rollback=rollback,
    )

    def opened() -> Backend:
        return choice.backend(platform, name, profiles=profile or (), services=services or ())

    try:
        if dry_run:
            _rehearse(opened, options, not no_check and _fixes(platform, name, fix=not no_fix))
            return
        backend = None if no_check else _all_up(opened, options)
        if not backend:
            if not no_check:
                platform = _prepared(platform, name, yes=yes, fix=not no_fix)
            backend = opened()
        members = backend.up(options, Teller(backend.services))
    except Failed as failed:
        show(failure_lines(failed.failures))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        left = (
            "what was made was taken back"
            if rollback
            else "what was started stays (saas-doctor down)"
        )
        say(f"interrupted; {left}", error=True)
        raise typer.Exit(130) from None
    show(members_up(members, backend.name, time.monotonic() - began))


def _all_up(opened: Callable[[], Backend], options: Options) -> Backend | None:
    """The backend where `up` has nothing to do, so that nothing can stop it."""
    from saas_doctor.model import DoctorError
    from saas_doctor.stack import Failed, Verb

    try:
        backend = opened()
        changes = backend.changes(options)
    except (Failed, DoctorError):
        return None
    return backend if all(change.verb is Verb.KEEP for change in changes) else None


def _rehearse(opened: Callable[[], Backend], options: Options, mended_first: bool) -> None:
    """Show what `up` would do, as far as it can be told before what is wrong is mended."""
    from saas_doctor.cli.screen import say, show
    from saas_doctor.cli.stack_screen import change_lines
    from saas_doctor.model import DoctorError

    try:
        show(change_lines(opened().changes(options)))
    except DoctorError as reason:
        if not mended_first:
            raise
        say(f"Then the stack; what is started can be told once that is done ({reason}).")


def _fixes(platform: Platform, backend: str, *, fix: bool) -> bool:
    """Show what would be mended first, if anything; raises Failed with what can't be."""
    from saas_doctor import plan
    from saas_doctor.cli.asking import plan_lines
    from saas_doctor.cli.screen import show
    from saas_doctor.facts import Facts
    from saas_doctor.stack import Failed, bootstrap

    facts = Facts(platform)
    found = bootstrap.examine(platform, backend, facts)
    planned = plan.rehearse(plan.make(found if fix else [], facts), facts)
    show(plan_lines(planned))
    if left := [f for f, _ in planned.waiting] if fix else found:
        raise Failed(bootstrap.failures(left))
    return bool(planned.steps)


def _prepared(platform: Platform, backend: str, *, yes: bool, fix: bool) -> Platform:
    """The platform after what would stop it was mended; raises Failed with what is left."""
    from saas_doctor.cli.asking import Asker
    from saas_doctor.cli.screen import say
    from saas_doctor.repair import Outcome
    from saas_doctor.report.printable import one_line
    from saas_doctor.stack import Failed, bootstrap

    if not fix:
        _fixes(platform, backend, fix=False)
        return platform
    asker = Asker(yes=yes, command="saas-doctor up")
    done = bootstrap.mend(
        platform, backend, asker.agree, lambda what: say(f"... {what}", error=True)
    )
    for item in done.done:
        why = f": {item.reason}" if item.reason else ""
        say(f"{item.outcome.value:<12} {one_line(item.step.action.title)}{why}", error=True)
        more = item.step.action.afterwards(item.before)
        if more and item.outcome is Outcome.VERIFIED:
            say(f"{'to do':<12} {more}", error=True)
    if done.run and any(item.outcome is Outcome.VERIFIED for item in done.done):
        say(f"Take it back: saas-doctor undo {done.run}", error=True)
    if left := [f for f in done.report.findings if bootstrap.stops(f, backend)]:
        agree = "saas-doctor up --yes, or " if done.declined else ""
        raise Failed(bootstrap.failures(left, agree))
    return bootstrap.again(platform) if done.done else platform
