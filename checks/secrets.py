"""The secrets in the settings files: who gets to see them, and which everybody knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

from saas_doctor.facts.access import Access
from saas_doctor.facts.dotenv import Dotenv, EnvFile, Setting
from saas_doctor.facts.git import SettingsInGit
from saas_doctor.facts.source import Source
from saas_doctor.model import Finding, Place, Severity
from saas_doctor.rules import check


@check("CFG911", severity=Severity.WARNING, needs=("CFG901",))
def settings_file_in_git(git: SettingsInGit) -> Iterator[Finding]:
    """A settings file with secrets is kept in git: everybody with the repository has them.

    **Detected** by asking git which of the platform's settings files (`.env`, `.env.local`, ...) it
    tracks, where a key names a secret and its value looks like one. A file that git neither tracks
    nor leaves out is told too: the next `git add .` takes it up.
    **To mend**, `git rm --cached` the file and name it in `.gitignore`; the old values stay in the
    history, so make new ones.
    **Silent** without git, for examples and files for tests, and for placeholders (`changethis`),
    short words such as `postgres`, and variables that the front end shows to everybody.
    """
    for file in git.tracked:
        secret = _secret_in(file)
        if secret:
            yield Finding(
                f"git keeps {file.name}, with {secret.key} in it",
                looked_at=f"git ls-files; {secret.place}",
                found=f"{file.name} is tracked",
                wanted=f"{file.name} in .gitignore, and in no commit",
                target=file.name,
                place=secret.place,
                next_step=f"git rm --cached {file.name}, name it in .gitignore, and make new secrets",
            )
    for file in git.loose:
        secret = _secret_in(file)
        if secret:
            yield Finding(
                f"git does not leave out {file.name}, which has {secret.key} in it",
                looked_at=f"git ls-files --others; {secret.place}",
                found="neither tracked nor ignored",
                wanted=f"{file.name} in .gitignore",
                target=file.name,
                place=secret.place,
                severity=Severity.INFO,
                next_step=f"echo {file.name} >> .gitignore",
            )


_SECRET = re.compile(
    r"(?:SECRET|PASSWORD|PASSWD|TOKEN(?!I[SZ])|CREDENTIAL|(?:API|PRIVATE|ACCESS|SIGNING|ENCRYPTION)_?KEY)",
    re.I,
)
_PASSWORD = re.compile(r"://[^/@\s:]*:([^@\s]+)@")
_NO_SECRET = re.compile(
    r"EXPIR|MINUTE|SECOND|HOUR|DAYS|TTL|_URLS?$|_URI$|PATH|FILE|ALGORITHM|TYPE|NAME|HEADER|PREFIX|LENGTH|"
    r"LIFETIME|ISSUER|ENABLED|^(?:VITE|NEXT_PUBLIC|REACT_APP|NUXT_PUBLIC|PUBLIC|EXPO_PUBLIC)_",
    re.I,
)
_NOT_MEANT = re.compile(
    r"change|secret|placeholder|your|example|todo|x{3}|<|\.\.\.|replace|dummy|insert|password|passwd|"
    r"test|local|dev|insecure|admin|demo|sample|fake|\$\{",
    re.I,
)


def _secret_in(file: Dotenv) -> Setting | None:
    return next((s for s in file.settings if _is_secret(s.key, s.value)), None)


def _is_secret(key: str, value: str) -> bool:
    """Whether a setting is plainly a secret: by its name, and a value that nobody would make up."""
    password = _PASSWORD.search(value)
    if password:
        value = unquote(password[1])
    elif not _SECRET.search(key) or _NO_SECRET.search(key):
        return False
    if _NOT_MEANT.search(value):
        return False
    mixed = re.search(r"\d", value) and re.search(r"[A-Za-z]", value)
    return len(value) >= 12 and not re.search(r"\s", value) and bool(mixed)


@check("CFG912", severity=Severity.WARNING, needs=("CFG901",))
def signing_key_is_known(env: EnvFile, source: Source) -> Iterator[Finding]:
    """The key that signs tokens is a placeholder: whoever knows it can sign in as anybody.

    `changeme`, `secret` and `your-secret-key` are tried first, and the example's value stands in
    the repository.

    **Detected** in the settings file, for keys that the code names and that sign its own tokens or
    sessions (`SECRET_KEY`, `JWT_SECRET`, ...).
    **To mend**, make a key of your own; those who are signed in then have to sign in again.
    **Silent** about values that say that they are for development or tests, about other passwords,
    and about the keys of other parties (`STRIPE_SECRET_KEY`).
    """
    for setting in env.file.settings:
        if not _SIGNS.fullmatch(setting.key) or env.file.find(setting.key) is not setting:
            continue
        value = setting.value.strip().lower()
        if not _PLACEHOLDER.fullmatch(value) or _FOR_DEVELOPMENT.search(value):
            continue
        if any(source.mentioning(setting.key, setting.key.lower())):
            yield Finding(
                f"{setting.key} is {'empty' if not value else 'a placeholder'}, and signs tokens",
                looked_at=str(setting.place),
                found="nothing" if not value else "a word that everybody knows",
                wanted="32 random bytes or more",
                target=setting.key,
                place=setting.place,
                next_step='python -c "import secrets; print(secrets.token_hex(32))", and write what '
                f"it says at {setting.place}",
            )


_SIGNS = re.compile(
    r"(?:(?:APP|JWT|SESSION|AUTH|TOKEN|COOKIE|ACCESS|REFRESH|ACCESS_TOKEN|REFRESH_TOKEN|FASTAPI)_)?"
    r"(?:SECRET|SECRET_KEY|SIGNING_KEY)|JWT_KEY",
    re.I,
)
_PLACEHOLDER = re.compile(
    r"|(?:my|the|a|super|very|some|top)?[-_ ]?(?:my|super|very)?[-_ ]?secret[-_ ]?(?:key|token|value|here)?"
    r"|change[-_ ]?(?:me|this|it).*|your[-_ ]?.*|<.*>|replace[-_ ]?(?:me|this|with).*|todo.*|x{3,}|key"
    r"|password|.*[-_ ]change[-_ ](?:me|this|it|in[-_ ]production).*|insert[-_ ].*|1234567?8?9?0?|\.\.\."
)
_FOR_DEVELOPMENT = re.compile(r"dev|local|test|insecure|demo")


@check("CFG913", severity=Severity.INFO, needs=("CFG901",))
def settings_file_readable_by_all(access: Access) -> Iterator[Finding]:
    """Every account of this machine can read the settings file with its secrets.

    Not only people: also the accounts that other services run under.

    **Detected** from the permission bits of the file and of the folders above it. It is a warning
    where somebody else has an account with a shell, and otherwise an information.
    **Fixed** by taking the right away from all others (`chmod o-rwx`); `undo` gives it back.
    **Silent** where a folder above keeps others out, where the file holds no secret, and on Windows.
    """
    secret = _secret_in(access.file)
    if access.mode & 0o004 and access.reached and secret:
        others = ", ".join(access.people[:3])
        yield Finding(
            f"{access.file.name} can be read by every account of this machine",
            looked_at=f"mode {access.mode:o}, and the folders above; {secret.place}",
            found=f"{secret.key} can be read" + (f", also by {others}" if others else ""),
            wanted=f"mode {access.mode & ~0o007:o}",
            target=access.file.name,
            place=Place(access.file.name),
            severity=Severity.WARNING if access.people else None,
            next_step=f"chmod o-rwx {access.file.name}",
            data={"mode": access.mode},
        )
