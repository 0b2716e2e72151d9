"""Which versions of the platform's usual packages go together and have wheels for today's Pythons."""

from __future__ import annotations

POLICY = {
    "asyncpg": ">=0.30",
    "bcrypt": ">=4.0.1,<5",  # passlib 1.7 does not work with 5
    "email-validator": ">=2.1,<3",
    "fastapi": ">=0.115,<1",
    "greenlet": ">=3.1",
    "httpx": ">=0.27,<0.29",
    "psycopg2-binary": ">=2.9.10,<3",
    "pydantic": ">=2.9,<3",
    "pydantic-settings": ">=2.7,<3",
    "python-jose": ">=3.5",
    "redis": ">=5,<9",
    "sqlalchemy": ">=2.0.31,<2.1",  # 2.1 takes postgresql:// for psycopg 3
    "uvicorn": ">=0.30",
}
"""By normalised name; what is not named here has no version that is known to be better."""
