"""The stack in containers, made through the Docker SDK so that Compose of any version knows it again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from saas_doctor.journal import prepare_state
from saas_doctor.platform import Platform
from saas_doctor.stack import Change, Failed, Failure, LogLine, Member, Options, Say, Verb
from saas_doctor.stack.docker import ending, failures, images, plan, published, reading
from saas_doctor.stack.docker import volumes as volumes_of
from saas_doctor.stack.docker.engine import Engine, answering
from saas_doctor.stack.docker.found import Existing, existing, rows
from saas_doctor.stack.docker.images import Image
from saas_doctor.stack.docker.making import Maker
from saas_doctor.stack.docker.marks import Scope
from saas_doctor.stack.docker.plan import Plan
from saas_doctor.stack.docker.starting import Starting
from saas_doctor.stack.docker.work import all_done, each
from saas_doctor.stack.saving import Saved


class DockerBackend:
    """A project's containers on the engine that the platform's environment names.

    The logs of builds are kept in the platform's state folder.
    """

    name = "docker"

    def __init__(self, scope: Scope, platform: Platform) -> None:
        self.scope, self.platform = scope, platform
        self.engine = Engine(platform.environ)
        self.services = tuple(sorted(scope.known))

    @answering()
    def changes(self, options: Options) -> list[Change]:
        """What `up` would do, nothing done; raises Failed for what would keep it from it."""
        return list(self._planned(options)[0].changes(self.scope))

    def _planned(self, options: Options) -> tuple[Plan, Existing]:
        services = plan.chosen(self.scope.project, options)
        there = existing(self.engine, self.scope)
        self._refuse(there, services)
        wanted = images.wanted(self.engine, self.scope, services, build=options.build)
        made = plan.make(self.engine, self.scope, there, services, wanted, options)
        if failed := published.taken(self.engine, self.scope, made):
            raise Failed(failed)
        return made, there

    def _refuse(self, there: Existing, services: Iterable[str]) -> None:
        if strangers := there.strangers(self.scope):
            from saas_doctor.facts.docker import WORKING_DIR

            folder = strangers[0].labels[WORKING_DIR]
            names = ", ".join(row.name for row in strangers[:3])
            raise Failed(
                [
                    Failure(
                        "",
                        f"the project name {self.scope.name} is taken by the stack in {folder} ({names})",
                        "give this one another: COMPOSE_PROJECT_NAME=... in its .env, or `name:` in the "
                        f"Compose file; or take the other one down (docker compose -p {self.scope.name} down)",
                    )
                ]
            )
        failed = [f for name in services for f in plan.unsupported(self.scope.project, name)]
        if failed:
            raise Failed(failed)

    @answering()
    def up(self, options: Options, say: Say) -> list[Member]:
        """Bring it up and wait until all is healthy; raises Failed."""
        for warning in self.scope.warnings:
            say("", warning)
        made, there = self._planned(options)
        if (orphans := there.orphans(self.scope)) and not options.remove_orphans:
            names = ", ".join(row.name for row in orphans)
            say("", f"orphans, of services that the file no longer has: {names} (--remove-orphans)")
        made = self._with_images(made, there, options, say)
        for note in plan.notes(self.scope, there):
            say("", note)
        if self.engine.proxies and any(s.verb is not Verb.KEEP for s in made.steps):
            names = ", ".join(sorted(self.engine.proxies))
            say(
                "",
                f"every container gets the proxies of the Docker client's configuration: {names}",
            )
        maker = Maker(self.engine, self.scope, say, keeps=options.rollback)
        try:
            self._make(made, maker, options)
        except BaseException:
            if options.rollback:
                say("", "taking back what was made")
                maker.undo()
            raise
        maker.commit()
        chosen = set(made.services)
        return [m for m in self._members(memory=False) if m.service in chosen]

    def _make(self, made: Plan, maker: Maker, options: Options) -> None:
        import docker

        try:
            each((key, partial(maker.network, key)) for key in made.networks)
            each((key, partial(maker.volume, key)) for key in made.volumes)
            each((row.identity, partial(maker.remove, row)) for row in made.orphans)
        except docker.errors.APIError as error:
            raise Failed([failures.not_made(error)]) from None
        kept = [s for s in made.services if all(step.verb is Verb.KEEP for step in made.of(s))]
        for name in kept:
            maker.service(made, name)
        Starting(
            self.engine,
            self.scope,
            made.services,
            kept,
            lambda name: maker.service(made, name),
            maker.say,
        ).run(options.wait)

    def _with_images(self, made: Plan, there: Existing, options: Options, say: Say) -> Plan:
        """The plan when its images are there: whether they are others only then is known."""
        ready = self._ready(made.images, say)
        if ready == made.images:
            return made
        return plan.make(self.engine, self.scope, there, made.services, ready, options)

    def _ready(
        self, wanted: Mapping[str, Image], say: Say, *, no_cache: bool = False
    ) -> Mapping[str, Image]:
        """The images after they were pulled and built, side by side; raises Failed with all that failed."""
        if any(image.verb is Verb.BUILD for image in wanted.values()):
            prepare_state(self.platform)
            (self.platform.state / "builds").mkdir(exist_ok=True)
        groups: dict[str, list[Image]] = {}
        for image in wanted.values():
            if image.verb is not Verb.KEEP:
                groups.setdefault(images.origin(self.scope, image), []).append(image)
        calls = [
            (where, partial(self._all_got, group, say, no_cache=no_cache))
            for where, group in groups.items()
        ]
        ready = dict(wanted)
        failed: list[Failure] = []
        try:
            results = all_done(calls)
        except KeyboardInterrupt:
            images.end_commands()
            raise
        for result in results.values():
            if isinstance(result, Failed):
                failed += result.failures
            elif isinstance(result, BaseException):
                raise result
            else:
                ready |= result
        if failed:
            raise Failed(failed)
        return ready

    def _all_got(self, group: Iterable[Image], say: Say, *, no_cache: bool) -> dict[str, Image]:
        """Images of one origin, one after the other: the later ones find the steps that they share."""
        return {
            image.name: replace(
                image, identity=self._got(image, say, no_cache=no_cache), verb=Verb.KEEP
            )
            for image in group
        }

    def _got(self, image: Image, say: Say, *, no_cache: bool) -> str:
        """The id of an image, after it was pulled or built."""
        pulls = image.verb is Verb.PULL
        with answering(
            lambda: f"{image.services[0]} was being {'pulled' if pulls else 'built'}",
        ):
            if pulls:
                platform = self.scope.project.services[image.services[0]].platform
                return images.pull(self.engine, image, platform, say)
            log = self.platform.state / "builds" / f"{image.services[0]}.log"
            return images.build(self.engine, self.scope, image, say, log, no_cache=no_cache)

    @answering()
    def build(self, services: Sequence[str], say: Say, *, no_cache: bool = False) -> list[str]:
        """Build the images of these services (all that are built, where none is named); their names."""
        project = self.scope.project
        plan.chosen(project, Options(tuple(services), deps=False))  # refuses a name that is none
        built = [name for name in services or project.services if project.services[name].build]
        if none := [name for name in services if name not in built]:
            raise Failed(
                [Failure(none[0], f"{none[0]} has no `build`", "its image is pulled: docker pull")]
            )
        wanted = images.wanted(self.engine, self.scope, built, build=True)
        return list(self._ready(wanted, say, no_cache=no_cache))

    @answering()
    def removals(self, *, volumes: bool) -> list[Change]:
        """What `down` would remove, nothing done."""
        there = existing(self.engine, self.scope)
        self._refuse(there, ())
        return ending.removals(self.engine, self.scope, there, volumes=volumes)

    @answering()
    def down(self, *, volumes: bool, say: Say) -> list[Change]:
        """Stop and remove all that belongs to the stack; what was removed."""
        there = existing(self.engine, self.scope)
        self._refuse(there, ())
        return ending.down(self.engine, self.scope, there, say, volumes=volumes)

    @answering()
    def save(self, saved: Saved, say: Say) -> None:
        """Stop the containers and archive their volumes, named or not, which stay as they are."""
        there = existing(self.engine, self.scope)
        self._refuse(there, ())
        maker = Maker(self.engine, self.scope, say, keeps=False)
        running = [row for row in there.containers if row.runs]
        ending.in_order(self.engine, self.scope, running, maker.stop)
        named = dict.fromkeys(volumes_of.own(self.scope, there), "")
        all_of_them = {**named, **volumes_of.nameless(self.engine, there)}
        volumes_of.save(self.engine, all_of_them, saved, say)

    @answering()
    def members(self) -> list[Member]:
        """All containers of the stack, running or not."""
        return self._members(memory=True)

    def _members(self, *, memory: bool) -> list[Member]:
        return reading.members(self.engine, self.scope.name, memory=memory)

    def logs(
        self, services: Sequence[str], *, tail: int | None, since: datetime | None, follow: bool
    ) -> Iterator[LogLine]:
        """What the services wrote, oldest first."""
        plan.chosen(self.scope.project, Options(tuple(services), deps=False))
        with answering():
            yield from reading.logs(
                self.engine, self.scope.name, services, tail=tail, since=since, follow=follow
            )

    @answering()
    def restart(self, services: Sequence[str], say: Say, wait: float = 120.0) -> list[Member]:
        """Stop and start these (all where none is named), each after what it depends on; raises Failed."""
        project = self.scope.project
        asked = plan.with_dependents(project, services or tuple(project.services))
        chosen = plan.chosen(project, Options(asked, deps=False))
        ordered = [s for s in plan.chosen(project, Options()) if s in chosen]
        found = [
            r for r in rows(self.engine, self.scope.name) if r.service in chosen and not r.one_off
        ]
        if missing := [s for s in services if s not in {r.service for r in found}]:
            raise Failed(
                [Failure(missing[0], f"{missing[0]} has no container", "saas-doctor up makes it")]
            )
        there = {row.service for row in found}
        maker = Maker(self.engine, self.scope, say, keeps=False)
        ending.in_order(self.engine, self.scope, found, maker.stop)

        def start(name: str) -> None:
            say(name, "starting")
            for row in found:
                if row.service == name:
                    self.engine.api.start(row.identity)

        ordered = [name for name in ordered if name in there]
        Starting(self.engine, self.scope, ordered, (), start, say).run(wait)
        return [m for m in self._members(memory=False) if m.service in there]
