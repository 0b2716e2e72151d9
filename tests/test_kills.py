"""`kill -9` at any moment of a fix of something live: undo, or another fix, leads back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from saas_doctor import journal, rules
from saas_doctor.facts import is_live
from tests.faults import Fault
from tests.test_faults import (
    FAULTS,
    MakeCopy,
    asked_of,
    healthy_keys,
    inject,
    injected,
    keys,
    load,
    made,
    mend,
    take_back,
)
from tests.testbed.world import World

__all__ = ["injected", "made"]

RUNS = int(os.environ.get("SD_KILLS", "4"))
LONGEST = 4.0
"""Seconds within which a fix is killed; it takes about two."""


def is_about_something_live(fault: Fault) -> bool:
    return any(is_live(kind) for kind in rules.checks()[fault.code].facts.values())


LIVE = [fault for fault in FAULTS if fault.fixed and is_about_something_live(fault)]


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("docker")
@pytest.mark.parametrize("number", range(RUNS))
def test_a_fix_killed_at_a_random_moment_leaves_a_way_back(
    number: int, made: MakeCopy, injected: ExitStack
) -> None:
    chance = random.Random(number)
    fault, moment = chance.choice(LIVE), chance.uniform(0, LONGEST)
    copy, selection = made(fault), asked_of(fault)
    healthy = healthy_keys(copy, selection)
    inject(copy, fault, injected)
    broken = World.of(copy)

    argv = ["fix", "--yes", "--timeout", "20", "--select", fault.code]
    process = subprocess.Popen(
        [sys.executable, "-m", "saas_doctor", *argv],
        cwd=copy.root,
        env=copy.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(moment)
    process.kill()
    process.wait()

    if World.of(copy).differences(broken) or journal.interrupted(load(copy)):
        undone = take_back(copy)
        assert undone.refused == [], (fault, moment)
    assert World.of(copy).differences(broken) == [], (fault, moment)
    fixed, _ = mend(copy, selection)
    left = {key for key in keys(fixed.report) - healthy if key[0] not in fault.left}
    assert not left, (fault, moment)
