"""Settings: the environment first, then backend/.env."""

from functools import lru_cache
from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict

BACKEND = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=BACKEND / ".env", extra="ignore")

    DATABASE_URL: str
    SECRET_KEY: str
    REDIS_URL: str | None = None
    REGISTRY_URL: str = "http://localhost:8001"
    # A plain string: a list would have to be JSON in the environment.
    CORS_ORIGINS: str = "http://localhost:5173"

    HOST: str = "127.0.0.1"
    # The address under which other services reach this one, where it is not HOST.
    ADVERTISED_HOST: str | None = None
    REGISTRY_PORT: int = 8001
    GATEWAY_PORT: int = 8000
    CORE_PORT: int = 8002
    DEMO_SERVICE_PORT: int = 8003
    # Seconds of silence after which the registry forgets a service.
    SERVICE_EXPIRY: float = 30.0
    LOGS: Path = BACKEND.parent / "logs"

    @property
    def cors_origins(self) -> list[str]:
        return [origin.strip() for origin in self.CORS_ORIGINS.split(",") if origin.strip()]

    @property
    def advertised_host(self) -> str:
        if self.ADVERTISED_HOST:
            return self.ADVERTISED_HOST
        # One can listen on all addresses, but not be reached at "all addresses".
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.HOST, self.HOST)
        return f"[{host}]" if ":" in host else host


@lru_cache
def get_settings() -> Settings:
    return Settings()
