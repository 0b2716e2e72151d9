"""The tables."""

from shared.models.base import Base
from shared.models.service import Service
from shared.models.user import User

__all__ = ["Base", "Service", "User"]
