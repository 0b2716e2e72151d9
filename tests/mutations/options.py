"""Settings whose file does not fit them, read and never run."""

import os
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

from dotenv import load_dotenv
from fastapi import FastAPI
from pydantic import AliasChoices, Field, PostgresDsn, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

HERE = Path(__file__).resolve().parents[1]  # é
load_dotenv(HERE / ".env")
WORKERS = int(os.getenv("WORKERS", "2"))
TOKEN = os.environ["TOKEN_OF_MAIL"]


class Mode(str, Enum):
    FAST = "fast"


class Base(BaseSettings):
    model_config = SettingsConfigDict(env_file=HERE / ".env", env_nested_delimiter="__")

    CORE_PORT: int = Field(8002, ge=1)
    NAME: Literal["a", "b"] = "a"


class Options(Base, title="options"):
    CORS_ORIGINS: list[str] = []
    REGISTRY_URL: PostgresDsn
    mode: Mode = Mode.FAST
    mail: str = Field(validation_alias=AliasChoices("MAIL", "MAIL_URL"))
    hosts: Annotated[list[str], NoDecode] = []

    @field_validator("hosts", mode="before")
    @classmethod
    def split(cls, value):
        return value.split(",")


options = Options()
app = FastAPI()
