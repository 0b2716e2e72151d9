"""Models with the faults of many rules, read and never run."""

from typing import Optional

from pydantic import (
    BaseModel,
    BaseSettings,  # é
    EmailStr,
    Field,
    conlist,
    constr,
    root_validator,
    validator,
)
from sqlalchemy import JSON, Column, Integer
from sqlalchemy.orm import declarative_base

Base = declarative_base()


class Service(Base):
    __tablename__ = "services"
    id = Column(Integer, primary_key=True)
    metadata = Column(JSON, default=dict)  # é


class Job(Base):
    __tablename__ = "jobs"
    id = Column(Integer, primary_key=True)
    job_metadata = Column("metadata", JSON)


class Settings(BaseSettings, orm_mode=True):
    url: str = Field("x", env="DATABASE_URL")
    names = ["a"]


class Names(BaseModel):
    __root__: conlist(str, min_items=1)


class ServiceRead(BaseModel):
    name: constr(regex="^[a-z]+$")
    note: Optional[str]
    owner: EmailStr
    size: int = Field(1, min_items=1)

    @validator("name", pre=True)
    def lower(cls, value, field):
        return value.lower()

    @root_validator
    def whole(cls, values):
        return values

    class Config:
        orm_mode = True
        allow_population_by_field_name = True


def new(given: ServiceRead):
    return Job(metadata=given.json(indent=2)), Job(**given.dict()).metadata


def read(row):
    return ServiceRead.from_orm(row)
