"""Faults of the CORS middleware's arguments and place."""

from __future__ import annotations

from collections.abc import Callable

from tests.faults import Copy, Fault, Healthy, Inject, both, replace
from tests.faults.origins import CONFIG, GATEWAY, ORIGIN, PROPERTY, allows, made, origins

METHODS, HEADERS = 'allow_methods=["*"],', 'allow_headers=["*"],'
CREDENTIALS = "    allow_credentials=True,\n"
ROOT = '@app.get("/")'


def refuses(origin: str) -> Callable[[Copy], bool]:
    """Whether the gateway does not let a page of that origin call it, but the front end's."""

    def works(copy: Copy) -> bool:
        return not allows(origin)(copy) and allows()(copy)

    return works


def as_text(copy: Copy) -> None:
    made("get_settings().CORS_ORIGINS")(copy)


def outside(code: str) -> Inject:
    """The gateway with more code after its CORS middleware."""
    imports = "from starlette.middleware.base import BaseHTTPMiddleware\n"
    return both(
        replace(GATEWAY, ROOT, f"{code}\n\n{ROOT}"),
        replace(GATEWAY, "from gateway.table", f"{imports}\nfrom gateway.table"),
    )


GUARD = """@app.middleware("http")
async def guard(request: Request, call_next):
    if request.url.path.startswith("/api/") and "authorization" not in request.headers:
        return JSONResponse({"detail": "no token"}, status_code=401)
    return await call_next(request)
"""
CLASS = """class Guard(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        if "authorization" in request.headers:
            return await call_next(request)
        return Response(status_code=403)


app.add_middleware(Guard)
"""
PURE = """class Guard:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["path"].startswith("/api/closed"):
            refusal = JSONResponse({"detail": "closed"}, 403)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)


app.add_middleware(Guard)
"""
NAMED = """class Named:
    def __init__(self, app, allow_origins):
        self.app = app

    async def __call__(self, scope, receive, send):
        await self.app(scope, receive, send)
"""
TIMED = """@app.middleware("http")
async def timed(request: Request, call_next):
    response = await call_next(request)
    response.headers["X-Answered"] = "yes"
    return response
"""
OWN_HEADERS = GUARD.replace(
    "status_code=401", 'status_code=401, headers={"Access-Control-Allow-Origin": "*"}'
)
OK_ITSELF = GUARD.replace("status_code=401", "status_code=200")


def before(code: str) -> Inject:
    """The gateway with more code before its CORS middleware."""
    return replace(GATEWAY, "app.add_middleware(", f"{code}\n\napp.add_middleware(")


def has_headers(path: str) -> Callable[[Copy], bool]:
    """Whether a refusal has the headers that let a page read it."""
    code = f"""
from starlette.testclient import TestClient
from gateway.main import app
answer = TestClient(app).get("{path}", headers={{"Origin": "{ORIGIN}"}})
assert answer.status_code in (401, 403) and "access-control-allow-origin" in answer.headers
"""
    return lambda copy: copy.imports(code)


ENTRIES = [
    Fault(
        "WEB807",
        "the setting as it is",
        as_text,
        works=refuses("http://localhost"),
        group="origins",
    ),
    Fault(
        "WEB807",
        "a literal",
        made(f'"{ORIGIN}"'),
        works=refuses("http://localhost"),
        group="origins",
    ),
    Fault(
        "WEB807",
        "brackets that make no tuple",
        made(f'("{ORIGIN},http://localhost:3000")'),
        works=refuses("http://localhost"),
        group="origins",
    ),
    Fault(
        "WEB807",
        "a property that strips only",
        replace(CONFIG, PROPERTY, "self.CORS_ORIGINS.strip()"),
        works=refuses("http://localhost"),
        group="origins",
        at="backend/gateway/main.py:allow_origins=",
    ),
    Fault(
        "WEB807",
        "headers in one text",
        replace(GATEWAY, HEADERS, 'allow_headers="Authorization, X-Tenant",'),
        works=allows(headers="authorization,x-tenant"),
        group="headers",
    ),
    Fault(
        "WEB807",
        "methods in one text",
        replace(GATEWAY, METHODS, "allow_methods='GET,PUT',"),
        works=allows(method="PUT"),
        group="methods",
    ),
    Healthy(
        "WEB807", "a literal that means everything", replace(GATEWAY, HEADERS, 'allow_headers="*",')
    ),
    Healthy("WEB807", "a tuple", made(f'("{ORIGIN}",)')),
    Healthy(
        "WEB807",
        "the setting split where it is used",
        made('get_settings().CORS_ORIGINS.split(",")'),
    ),
    Healthy(
        "WEB807",
        "a text in a variable that is split",
        both(
            replace(
                GATEWAY, "app = FastAPI(", "ALLOWED = get_settings().CORS_ORIGINS\napp = FastAPI("
            ),
            made('ALLOWED.split(",")'),
        ),
    ),
    Healthy(
        "WEB807",
        "a validator that makes a list of it",
        both(
            replace(
                CONFIG,
                "    HOST: str",
                '    @field_validator("CORS_ORIGINS")\n'
                "    @classmethod\n"
                "    def _split(cls, text: str) -> list[str]:\n"
                '        return text.split(",")\n\n'
                "    HOST: str",
            ),
            replace(
                CONFIG,
                "from pydantic_settings",
                "from pydantic import field_validator\nfrom pydantic_settings",
            ),
            as_text,
        ),
    ),
    Healthy(
        "WEB807",
        "another middleware's text",
        both(
            replace(
                GATEWAY, ROOT, f"app.add_middleware(Named, allow_origins='{ORIGIN}')\n\n\n{ROOT}"
            ),
            replace(GATEWAY, "METHODS =", f"{NAMED}\n\nMETHODS ="),
        ),
    ),
    Fault(
        "WEB808",
        "a star in the settings",
        origins("*"),
        fixed=False,
        works=refuses("http://evil.invalid"),
        group="origins",
        at="backend/gateway/main.py:allow_origins=",
    ),
    Fault(
        "WEB808",
        "a star in the source",
        made('["*"]'),
        fixed=False,
        works=refuses("http://evil.invalid"),
        group="origins",
    ),
    Fault(
        "WEB808",
        "a pattern for everything",
        made('get_settings().cors_origins,\n    allow_origin_regex="https?://.*"'),
        fixed=False,
        works=refuses("http://evil.invalid"),
        group="origins",
    ),
    Healthy(
        "WEB808",
        "a star without credentials",
        both(made('["*"]'), replace(GATEWAY, CREDENTIALS, "")),
    ),
    Healthy(
        "WEB808",
        "a star with credentials that are off",
        both(made('["*"]'), replace(GATEWAY, CREDENTIALS, "    allow_credentials=False,\n")),
    ),
    Healthy(
        "WEB808",
        "a pattern for this machine",
        made('[],\n    allow_origin_regex=r"http://localhost:\\d+"'),
    ),
    Healthy(
        "WEB808",
        "credentials only where there is no star",
        both(
            origins("*"),
            replace(
                GATEWAY,
                CREDENTIALS,
                '    allow_credentials="*" not in get_settings().cors_origins,\n',
            ),
        ),
    ),
    Healthy(
        "WEB808",
        "a star, where the middleware is another",
        both(
            replace(
                GATEWAY,
                "app.add_middleware(",
                'allowed = os.getenv("ALLOWED", "*")\n'
                'if allowed == "*":\n  app.add_middleware(\n'
                "    CORSMiddleware, allow_origins=get_settings().cors_origins\n  )\n"
                "else:\n  app.add_middleware(",
            ),
            replace(GATEWAY, "import httpx\n", "import os\n\nimport httpx\n"),
            made('allowed.split(",")'),
        ),
    ),
    Healthy(
        "WEB808",
        "for development only",
        both(
            replace(
                GATEWAY, "app.add_middleware(", "if get_settings().DEBUG:\n  app.add_middleware("
            ),
            made('["*"]'),
            replace(CONFIG, "    HOST: str", "    DEBUG: bool = False\n    HOST: str"),
        ),
    ),
    Fault(
        "WEB810",
        "a function that asks for a token",
        outside(GUARD),
        fixed=False,
        works=has_headers("/api/core/me"),
        group="order",
    ),
    Fault("WEB810", "a class", outside(CLASS), fixed=False, works=has_headers("/"), group="order"),
    Fault(
        "WEB810",
        "a class of pure ASGI",
        outside(PURE),
        fixed=False,
        works=has_headers("/api/closed"),
        group="order",
    ),
    Healthy("WEB810", "before the CORS middleware", before(GUARD)),
    Healthy("WEB810", "one that passes everything on", outside(TIMED)),
    Healthy("WEB810", "one that sets the headers itself", outside(OWN_HEADERS)),
    Healthy("WEB810", "one that answers well", outside(OK_ITSELF)),
    Healthy(
        "WEB810",
        "a second CORS middleware around it",
        outside(
            GUARD
            + "\n\napp.add_middleware(CORSMiddleware, allow_origins=get_settings().cors_origins)\n"
        ),
    ),
]
