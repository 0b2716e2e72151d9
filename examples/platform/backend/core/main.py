"""Users: sign-up, login, and who one is; and the catalogue of services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.config import get_settings
from shared.database import get_engine, get_session
from shared.models import Base, Service, User
from shared.schemas import ServiceRead, Token, UserCreate, UserLogin, UserRead
from shared.utils.registration import registered
from shared.utils.security import create_token, hash_password, read_token, verify_password


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # A database that is down ends the start here, with its own words.
    Base.metadata.create_all(get_engine())
    async with registered("core", get_settings().CORE_PORT):
        yield
    get_engine().dispose()


app = FastAPI(title="core", lifespan=lifespan)
Db = Annotated[Session, Depends(get_session)]
Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def current_user(bearer: Bearer, db: Db) -> User:
    email = read_token(bearer.credentials)
    user = db.scalar(select(User).where(User.email == email)) if email else None
    if user is None:
        raise HTTPException(401, "this token is not valid")
    return user


CurrentUser = Annotated[User, Depends(current_user)]


@app.get("/")
def root() -> dict[str, str]:
    return {"service": "core", "status": "ok"}


@app.post("/api/core/users", status_code=201)
def sign_up(new: UserCreate, db: Db) -> UserRead:
    user = User(email=new.email, hashed_password=hash_password(new.password))
    db.add(user)
    try:
        db.commit()
    except IntegrityError:
        raise HTTPException(409, "this address has signed up already") from None
    return UserRead.model_validate(user)


@app.post("/api/core/login")
def login(given: UserLogin, db: Db) -> Token:
    user = db.scalar(select(User).where(User.email == given.email))
    if user is None or not verify_password(given.password, user.hashed_password):
        raise HTTPException(401, "wrong address or password")
    return Token(access_token=create_token(user.email))


@app.get("/api/core/me")
def me(user: CurrentUser) -> UserRead:
    return UserRead.model_validate(user)


@app.get("/api/core/services")
def catalogue(db: Db) -> list[ServiceRead]:
    services = db.scalars(select(Service).order_by(Service.name))
    return [ServiceRead.model_validate(service) for service in services]


@app.put("/api/core/services/{name}", dependencies=[Depends(current_user)])
def describe(name: str, metadata: dict[str, Any], db: Db) -> ServiceRead:
    service = db.scalar(select(Service).where(Service.name == name)) or Service(name=name)
    service.service_metadata = metadata
    db.add(service)
    db.commit()
    return ServiceRead.model_validate(service)
