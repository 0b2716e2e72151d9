"""What goes over the wire."""

from shared.schemas.service import ServiceInfo, ServiceRegister
from shared.schemas.user import Token, UserCreate, UserRead

__all__ = ["ServiceInfo", "ServiceRegister", "Token", "UserCreate", "UserRead"]
