"""The test bed: real servers, copies of the reference platform, and what sets them up."""

from __future__ import annotations

import os

import pytest


def require(there: object, what: str) -> None:
    """Real parts may be missing on a developer's machine; in CI a missing one is a failure."""
    if not there:
        if os.environ.get("CI"):
            pytest.fail(f"{what} is missing (`make system` installs it)")
        pytest.skip(f"{what} is not installed")
