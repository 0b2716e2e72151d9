"""Faults of Pydantic models."""

from __future__ import annotations

from tests.faults import Copy, Fault, Healthy, append, replace, write

USER_SCHEMA = "backend/shared/schemas/user.py"
V2_CONFIG = "    model_config = ConfigDict(from_attributes=True)\n"
V1_CONFIG = "    class Config:\n        orm_mode = True  # for the ORM\n"


def serialises_users(copy: Copy) -> bool:
    return copy.imports(
        "from shared.schemas import UserRead as U; from types import SimpleNamespace as N\n"
        "U.model_validate(N(id=1, email='a@example.com'))"
    )


ENTRIES = [
    Fault(
        "SRC202",
        "orm_mode",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG),
        works=serialises_users,
        target=f"{USER_SCHEMA}:UserRead.orm_mode",
        group="user schema",
    ),
    Fault(
        "SRC202",
        "orm_mode as a keyword",
        replace(USER_SCHEMA, "from_attributes=True", "orm_mode=True"),
        works=serialises_users,
        group="user schema",
    ),
    Healthy(
        "SRC202",
        "a class Config of v2",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG.replace("orm_mode", "from_attributes")),
    ),
    Healthy(
        "SRC202",
        "a configuration for both versions",
        replace(USER_SCHEMA, V2_CONFIG, V1_CONFIG + "        from_attributes = True\n"),
    ),
    Healthy(
        "SRC202",
        "a class Config of something else",
        append(
            "backend/shared/utils/security.py",
            "\n\nclass Job:\n    class Config:\n        orm_mode = True\n",
        ),
    ),
    Healthy(
        "SRC202",
        "pydantic.v1 on purpose",
        write(
            "backend/shared/old.py",
            "from pydantic.v1 import BaseModel\n\n\nclass Old(BaseModel):\n    class Config:\n        orm_mode = True\n",
        ),
    ),
]
