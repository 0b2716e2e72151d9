from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, EmailStr, Field


def _fits_bcrypt(password: str) -> str:
    """bcrypt takes 72 bytes, not characters, and no NUL."""
    if len(password.encode()) > 72:
        raise ValueError("a password has at most 72 bytes")
    if "\0" in password:
        raise ValueError("a password has no NUL character")
    return password


Password = Annotated[str, AfterValidator(_fits_bcrypt)]


class UserLogin(BaseModel):
    email: EmailStr
    password: Password


class UserCreate(UserLogin):
    password: Annotated[Password, Field(min_length=8)]


class UserRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: EmailStr


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"
