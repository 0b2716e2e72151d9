from pydantic import BaseModel, Field


class ServiceRegister(BaseModel):
    """What a service tells the registry of itself."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    url: str
    metadata: dict[str, str] = Field(default_factory=dict)


class ServiceInfo(ServiceRegister):
    """What the registry tells of a service; the age is in seconds since its last sign of life."""

    age: float
