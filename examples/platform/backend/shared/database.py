"""The database: one engine a process, made when it is first needed."""

from collections.abc import Iterator
from functools import lru_cache

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from shared.config import get_settings


@lru_cache
def get_engine() -> Engine:
    return create_engine(
        get_settings().DATABASE_URL,
        # Small on purpose: every process of every service has a pool of its own.
        pool_size=5,
        max_overflow=2,
        pool_pre_ping=True,
        # Without a limit, a port that accepts and stays silent is waited for for ever.
        connect_args={"connect_timeout": 5},
    )


def get_session() -> Iterator[Session]:
    with Session(get_engine()) as session:
        yield session
