"""A platform of as many source files as one likes, each of some sixty lines, nothing wrong in it."""

from __future__ import annotations

from pathlib import Path

IN_PACKAGE = 20
IN_SERVICE = 400

_MODULE = '''"""Things of kind {n}."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, Integer, String

from shared.base import Base
from {package}.m{other} import describe_{other}

logger = logging.getLogger(__name__)
router = APIRouter(prefix="/things{n}", tags=["things"])


class Record{n}(Base):
    __tablename__ = "things_{n}"

    id = Column(Integer, primary_key=True)
    name = Column(String(80), nullable=False)


class Thing{n}(BaseModel):
    """A thing."""

    model_config = ConfigDict(from_attributes=True)

    name: str = Field(min_length=1, max_length=80)
    amount: int = 0
    tags: list[str] = []

    def total(self, factor: float = 1.0) -> float:
        result = 0.0
        for tag in self.tags:
            if tag.startswith("x"):
                result += len(tag) * factor
            else:
                result -= 1
        return result + self.amount


def describe_{n}(value: Any, *, strict: bool = False) -> dict[str, Any]:
    if strict and value is None:
        raise ValueError("nothing given")
    data = {{"value": value, "strict": strict, "number": {n}}}
    try:
        data["size"] = len(value)
    except TypeError as error:
        logger.warning("no size: %s", error)
    return data


@router.get("/")
async def read_things(limit: int = 10, offset: int = 0) -> list[Thing{n}]:
    return [Thing{n}(name=f"thing {{k}}", amount=k) for k in range(offset, offset + limit)]


@router.post("/")
async def make_thing(thing: Thing{n}) -> dict[str, Any]:
    if not thing.name:
        raise HTTPException(status_code=422, detail="a name is needed")
    return describe_{n}(thing.name, strict=True)
'''


def make(root: Path, count: int) -> Path:
    """Write the platform: every module imports one before it in its own package."""
    backend = root / "backend"
    (backend / "shared").mkdir(parents=True)
    (backend / "shared/__init__.py").write_text("")
    (backend / "shared/base.py").write_text(
        "from sqlalchemy.orm import DeclarativeBase\n\n\nclass Base(DeclarativeBase): ...\n"
    )
    (backend / "requirements.txt").write_text(
        "fastapi\npydantic>=2.9,<3\nsqlalchemy>=2.0.31,<2.1\n"
    )
    for number in range(count):
        package = f"service{number // IN_SERVICE}.part{number // IN_PACKAGE}"
        folder = backend / package.replace(".", "/")
        if number % IN_PACKAGE == 0:
            folder.mkdir(parents=True)
            (folder / "__init__.py").write_text("")
            (folder.parent / "__init__.py").write_text("")
        # The first imports from itself no more than a module may: nothing.
        other = max(number - 1, number // IN_PACKAGE * IN_PACKAGE)
        text = _MODULE.format(n=number, package=package, other=other)
        if other == number:
            text = text.replace(f"from {package}.m{other} import describe_{other}\n", "")
        (folder / f"m{number}.py").write_text(text)
    return root
