"""What goes over the wire."""

from shared.schemas.service import ServiceInfo, ServiceRead, ServiceRegister
from shared.schemas.user import Token, UserCreate, UserLogin, UserRead

__all__ = [
    "ServiceInfo",
    "ServiceRead",
    "ServiceRegister",
    "Token",
    "UserCreate",
    "UserLogin",
    "UserRead",
]
