from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ServiceRegister(BaseModel):
    """What a service tells the registry of itself."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    url: str
    metadata: dict[str, str] = Field(default_factory=dict)


class ServiceInfo(ServiceRegister):
    """What the registry tells of a service; the age is in seconds since its last sign of life."""

    age: float


class ServiceRead(BaseModel):
    """What the catalogue tells of a service."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    # The model's attribute can't have this name.
    metadata: dict[str, Any] = Field(validation_alias="service_metadata")
