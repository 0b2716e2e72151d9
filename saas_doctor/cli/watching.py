"""`saas-doctor check --watch`: shows the first report, then only what changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import NoReturn

from saas_doctor.cli.screen import say, show
from saas_doctor.model import Report
from saas_doctor.platform import Platform
from saas_doctor.report.console import render, render_change
from saas_doctor.watch import watch


def watch_platform(
    load: Callable[[], Platform], examine: Callable[[Platform], Report], *, verbose: bool
) -> NoReturn:
    """Watch until the user ends it; Ctrl-C ends it at once."""
    for number, change in enumerate(watch(load, examine)):
        if number == 0 and change.report:
            show(render(change.report, verbose=verbose))
            say("watching; Ctrl-C ends it", "dim", error=True)
        else:
            show(render_change(change, time.strftime("%H:%M:%S")))
        # Also into a pipe, where it would wait for a full page.
        sys.stdout.flush()
    raise AssertionError("watching ends by a signal only")
