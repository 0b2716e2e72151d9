"""A user signs up and logs in, as far as the services' own OpenAPI documents say how."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from saas_doctor.facts.registered import gateway_of
from saas_doctor.smoke.accounts import Account, left_behind
from saas_doctor.smoke.services import Services
from saas_doctor.smoke.steps import Part, Step, StepFailed, StepSkipped, step

if TYPE_CHECKING:
    import httpx

_LOGIN = re.compile(r"(?:log-?in|sign-?in|/token|sessions?)/?$", re.I)
_SIGN_UP = re.compile(r"(?:sign-?up|register|registration|users?|accounts?)/?$", re.I)
_ME = re.compile(r"(?:/me|current-?user|whoami|profile)/?$", re.I)
_FORM = "application/x-www-form-urlencoded"


class Operation(Struct, frozen=True):
    """A call that an OpenAPI document describes: its service, path, and the fields of its body."""

    service: str
    path: str
    fields: Mapping[str, Any]
    required: frozenset[str]
    form: bool = False


class Users:
    """Signs up an account that nobody has, logs in with it, and takes it away again."""

    def __init__(self, services: Services, http: httpx.Client, *, read_only: bool) -> None:
        self.services, self.http, self.read_only = services, http, read_only
        self.account = Account(services.platform)
        self.email, self.name = self.account.email, self.account.name
        self.password = f"Sd1-{secrets.token_urlsafe(12)}"
        self.token = ""
        self.made = False
        self.documents: dict[str, Mapping[str, Any]] = {}

    def steps(self) -> Iterator[Step]:
        for left in [] if self.read_only else left_behind(self.services.platform):
            with step(Part.WAY, f"the account {left.email} of a run that was killed") as clock:
                clock.said = _deleted(left.remove(self.services.facts))
            assert clock.step
            yield clock.step
        try:
            for title, action in (("sign-up", self._sign_up), ("login", self._log_in)):
                with step(Part.WAY, title) as clock:
                    clock.said = action()
                assert clock.step
                yield clock.step
        finally:
            # Also where the run is interrupted: an account is not left behind.
            last = self._clean_up() if self.made else None
        if last:
            yield last

    def _sign_up(self) -> str:
        if self.read_only:
            raise StepSkipped("it would write to the database (--read-only)")
        found = self._find("post", _SIGN_UP, self.services.platform.config.smoke.signup, _LOGIN)
        if found is None:
            raise StepSkipped("no service describes a sign-up (`signup` in [smoke] names its path)")
        self.made = True
        self.account.note()
        answer = self._call(found, self._body(found))
        if answer.status_code >= 300:
            self.made = answer.status_code >= 500
            if not self.made:
                self.account.forget()
            raise self._failed(found, answer)
        return f"POST {found.path}: HTTP {answer.status_code}"

    def _log_in(self) -> str:
        if not self.made:
            raise StepSkipped("nobody signed up")
        found = self._find("post", _LOGIN, self.services.platform.config.smoke.login)
        if found is None:
            raise StepSkipped("no service describes a login (`login` in [smoke] names its path)")
        answer = self._call(found, self._body(found))
        if answer.status_code >= 300:
            raise self._failed(found, answer)
        self.token = _token(answer)
        said = f"POST {found.path}: HTTP {answer.status_code}"
        me = self._find("get", _ME, self.services.platform.config.smoke.me)
        if me and self.token:
            answer = self._call(me, None)
            if answer.status_code >= 300:
                raise self._failed(me, answer)
            said += f"; GET {me.path}: HTTP {answer.status_code}"
        return said

    def _clean_up(self) -> Step:
        with step(Part.WAY, "the account is taken away") as clock:
            gone = self._find("delete", _ME, "") if self.token else None
            if gone and self._call(gone, None, "DELETE").status_code < 300:
                self.account.forget()
                clock.said = f"by DELETE {gone.path}"
            elif removed := self.account.remove(self.services.facts):
                clock.said = _deleted(removed)
            else:
                what = "no row of it was found in the database"
                raise StepFailed(f"{what}; {self.account.by_hand}")
        assert clock.step
        return clock.step

    def _find(
        self,
        method: str,
        pattern: re.Pattern[str],
        named: str | None,
        but: re.Pattern[str] | None = None,
    ) -> Operation | None:
        """The operation at the path that the configuration names, else the first that fits."""
        for service in self._behind_first():
            for path, item in (self._document(service).get("paths") or {}).items():
                operation = item.get(method) if isinstance(item, dict) else None
                fits = path == named if named else pattern.search(path) and "{" not in path
                if operation is None or not fits or (but and not named and but.search(path)):
                    continue
                found = _operation(service, path, operation, self._document(service))
                if method != "post" or any(map(_is_password, found.fields)):
                    return found
        return None

    def _behind_first(self) -> list[str]:
        gateway = gateway_of(self.services.platform)
        return sorted(self.services.urls, key=lambda name: name == gateway)

    def _document(self, service: str) -> Mapping[str, Any]:
        import httpx

        if service not in self.documents:
            self.documents[service] = {}
            try:
                answer = self.http.get(f"{self.services.urls[service]}/openapi.json", timeout=5)
                found = answer.json() if answer.status_code == 200 else {}
            except (httpx.HTTPError, ValueError):
                found = {}
            self.documents[service] = found if isinstance(found, dict) else {}
        return self.documents[service]

    def _body(self, operation: Operation) -> dict[str, Any]:
        wanted = {
            n for n in operation.fields if _is_password(n) or _is_name(n)
        } | operation.required
        return {
            name: self._value(name, operation.fields.get(name) or {}) for name in sorted(wanted)
        }

    def _value(self, name: str, schema: Mapping[str, Any]) -> Any:
        if _is_password(name):
            return self.password
        if schema.get("format") == "email" or "mail" in name.lower():
            return self.email
        if _is_name(name):
            return self.name if self._signs_up_by_name() else self.email
        for key in ("default", "const"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        kinds: dict[str, Any] = {
            "integer": 1,
            "number": 1,
            "boolean": True,
            "array": [],
            "object": {},
        }
        kind = str(schema.get("type"))
        return schema.get("minimum", kinds[kind]) if kind in kinds else "saas-doctor"

    def _signs_up_by_name(self) -> bool:
        found = self._find("post", _SIGN_UP, self.services.platform.config.smoke.signup, _LOGIN)
        names = found.fields if found else ()
        return any(_is_name(name) and "mail" not in name.lower() for name in names)

    def _call(
        self, operation: Operation, body: dict[str, Any] | None, method: str = ""
    ) -> httpx.Response:
        """By the gateway where it has the path, else of the service itself."""
        import httpx

        method = method or ("GET" if body is None else "POST")
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        given: dict[str, Any] = {} if body is None else {"data" if operation.form else "json": body}
        gateway = self.services.urls.get(gateway_of(self.services.platform))
        own = self.services.urls[operation.service]
        try:
            for base in dict.fromkeys(filter(None, (gateway, own))):
                answer = self.http.request(
                    method,
                    base + operation.path,
                    headers=headers,
                    timeout=self.services.limit,
                    **given,
                )
                if answer.status_code not in (404, 405):
                    break
        except httpx.HTTPError as error:
            raise StepFailed(
                f"{method} {operation.path}: {error or type(error).__name__}"
            ) from None
        return answer

    def _failed(self, operation: Operation, answer: httpx.Response) -> StepFailed:
        body = " ".join(answer.text.split())[:200]
        process = self.services.started.get(operation.service)
        failed = StepFailed.of(
            f"{operation.path} answers HTTP {answer.status_code}: {body}",
            process.tail if process else None,
        )
        failed.error = failed.error or body
        return failed


def _operation(
    service: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]
) -> Operation:
    content = (operation.get("requestBody") or {}).get("content") or {}
    kind = next((k for k in ("application/json", _FORM) if k in content), "")
    schema = _resolved((content.get(kind) or {}).get("schema") or {}, document)
    fields = {n: _resolved(s, document) for n, s in (schema.get("properties") or {}).items()}
    return Operation(service, path, fields, frozenset(schema.get("required") or ()), kind == _FORM)


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a reference leads to, and of several in one, all their fields."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        name = reference.rpartition("/")[2]
        found = ((document.get("components") or {}).get("schemas") or {}).get(name) or {}
        return _resolved(found, document) if "$ref" not in found else {}
    parts = [_resolved(part, document) for part in schema.get("allOf") or ()]
    if not parts:
        return schema
    merged: dict[str, Any] = {"properties": {}, "required": []}
    for part in (*parts, schema):
        merged["properties"] |= part.get("properties") or {}
        merged["required"] += part.get("required") or []
    return merged


def _is_password(name: str) -> bool:
    return "passw" in name.lower()


def _is_name(name: str) -> bool:
    return name.lower().replace("_", "") in ("email", "username", "login", "user", "emailaddress")


def _token(answer: httpx.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return ""
    inner = body.get("data") if isinstance(body, dict) else None
    for table in (body, inner):
        if isinstance(table, dict):
            found = next((table[k] for k in ("access_token", "token", "jwt") if table.get(k)), "")
            if isinstance(found, str) and found:
                return found
    return ""


def _deleted(rows: int) -> str:
    return f"{rows} row{'' if rows == 1 else 's'} deleted in the database"
