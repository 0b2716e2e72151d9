from sqlalchemy import JSON, Column, Integer, String

from shared.models.base import Base


class Service(Base):
    """A service of the catalogue, with what is told of it."""

    __tablename__ = "services"

    id = Column(Integer, primary_key=True)
    name = Column(String(100), unique=True, nullable=False)
    # `metadata` is SQLAlchemy's own; the column keeps that name.
    service_metadata = Column("metadata", JSON, default=dict)
