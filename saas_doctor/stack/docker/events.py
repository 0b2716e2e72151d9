"""The engine's events about a project's containers, told as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from saas_doctor.facts.docker import PROJECT
from saas_doctor.stack.docker.engine import Engine


@contextmanager
def heard(
    engine: Engine, project: str, kinds: Sequence[str], tell: Callable[[str], None]
) -> Iterator[None]:
    """Meanwhile `tell` is called, in a thread, with the container's id at each event of these kinds."""
    stream = engine.api.events(
        decode=True,
        filters={"type": "container", "event": list(kinds), "label": f"{PROJECT}={project}"},
    )

    def listen() -> None:
        with suppress(
            Exception
        ):  # without them, who looks by itself now and then finds out as well
            for event in stream:
                tell(str(event["Actor"]["ID"]))

    threading.Thread(target=listen, daemon=True).start()
    try:
        yield
    finally:
        stream.close()
