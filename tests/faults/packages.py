"""Faults of installed packages and requirements."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, install

HASH = "from shared.utils.security import hash_password; hash_password('secret')"


def hashes(copy: Copy) -> bool:
    return copy.imports(HASH)


ENTRIES = [
    Fault(
        "PKG304", "bcrypt 5 under passlib", install("bcrypt==5.0.0"), also=("PKG302",), works=hashes
    ),
    Healthy("PKG304", "bcrypt 4.3, which only logs", install("bcrypt==4.3.0")),
]
