"""Passwords and tokens."""

import logging
from datetime import UTC, datetime, timedelta

from jose import JWTError, jwt
from passlib.context import CryptContext

from shared.config import get_settings

# passlib looks for a version number that bcrypt 4.1 no longer has, and tells so without need.
logging.getLogger("passlib.handlers.bcrypt").setLevel(logging.ERROR)

_passwords = CryptContext(schemes=["bcrypt"])
_ALGORITHM = "HS256"


def hash_password(password: str) -> str:
    return _passwords.hash(password)


def verify_password(password: str, hashed: str) -> bool:
    return _passwords.verify(password, hashed)


def create_token(subject: str) -> str:
    expires = datetime.now(UTC) + timedelta(hours=1)
    return jwt.encode(
        {"sub": subject, "exp": expires}, get_settings().SECRET_KEY, algorithm=_ALGORITHM
    )


def read_token(token: str) -> str | None:
    """The subject of a token, or None for one that is not valid."""
    try:
        return jwt.decode(token, get_settings().SECRET_KEY, algorithms=[_ALGORITHM]).get("sub")
    except JWTError:
        return None
