"""Which origins the CORS middleware allows: missing ones, and those that never match."""

from __future__ import annotations

from pathlib import Path

import pytest

from saas_doctor.model import Absent, Severity, Undecided
from saas_doctor.platform import Platform
from tests.trees import CONFIG, GATEWAY, MakeTree, gateway_tree, mended, verdict

ORIGIN = "http://localhost:5173"
LIST = """from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_file=".env")
    CORS_ORIGINS: list[str] = []


settings = Settings()
"""
OF_LIST = GATEWAY.replace("settings.origins", "settings.CORS_ORIGINS")


@pytest.fixture
def tree(tmp_path: Path) -> MakeTree:
    """Makes a platform with a Vite front end at 5173 and these settings, and what it is otherwise."""

    def make(
        settings: str = "", config: str = CONFIG, main: str = GATEWAY, **more: str
    ) -> Platform:
        files = {
            "frontend/vite.config.js": "export default {}",
            "backend/.env": settings + "GATEWAY_PORT=8100\n",
            "backend/shared/config.py": config,
            "backend/gateway/main.py": main,
            **more,
        }
        return gateway_tree(tmp_path, files)

    return make


def given(origins: str) -> str:
    """A gateway with this as `allow_origins`."""
    return GATEWAY.replace("settings.origins", origins)


# WEB801.


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("http://localhost:3000", "CORS_ORIGINS=http://localhost:3000,http://localhost:5173"),
        ("http://127.0.0.1:5173", "CORS_ORIGINS=http://127.0.0.1:5173,http://localhost:5173"),
        ("", "CORS_ORIGINS=http://localhost:5173"),
        ("[]", "CORS_ORIGINS=http://localhost:5173"),
        (f'["{ORIGIN}"]', f"CORS_ORIGINS={ORIGIN}"),
    ],
)
def test_a_missing_origin_is_added_in_the_form_that_the_code_reads(
    tree: MakeTree, text: str, after: str
) -> None:
    platform = tree(f"CORS_ORIGINS={text}  # origins\n")
    (finding,) = verdict(platform, "WEB801")
    assert finding.target == ORIGIN
    (action,) = mended(platform, "WEB801")
    assert action.result.decode() == f"{after}  # origins\nGATEWAY_PORT=8100\n"


def test_a_missing_origin_is_added_to_a_list_in_json(tree: MakeTree) -> None:
    platform = tree("CORS_ORIGINS='[\"http://a\"]'\n", LIST, OF_LIST)
    (action,) = mended(platform, "WEB801")
    assert action.result.startswith(b"""CORS_ORIGINS='["http://a", "http://localhost:5173"]'\n""")


@pytest.mark.parametrize("text", [ORIGIN, f" http://a , {ORIGIN} ", "*"])
def test_an_allowed_origin_is_silent(tree: MakeTree, text: str) -> None:
    assert verdict(tree(f"CORS_ORIGINS={text}\n"), "WEB801") == []


@pytest.mark.parametrize("text", [f'["{ORIGIN}"]', "'[\"*\"]'"])
def test_an_origin_that_a_list_in_json_allows_is_silent(tree: MakeTree, text: str) -> None:
    assert verdict(tree(f"CORS_ORIGINS={text}\n", LIST, OF_LIST), "WEB801") == []


@pytest.mark.parametrize(
    "origins",
    [
        f"settings.origins + ['{ORIGIN}']",
        f"['{ORIGIN}', *settings.origins]",
        f"settings.origins, allow_origin_regex=r'{ORIGIN}'",
        "settings.origins, allow_origin_regex=r'https?://localhost(:\\d+)?'",
    ],
)
def test_an_origin_that_the_code_adds_is_silent(tree: MakeTree, origins: str) -> None:
    assert verdict(tree("CORS_ORIGINS=http://a\n", main=given(origins)), "WEB801") == []


@pytest.mark.parametrize("origins", ["compute(settings.CORS_ORIGINS)", "settings.origins, **more"])
def test_origins_that_are_computed_are_undecided_where_one_is_missing(
    tree: MakeTree, origins: str
) -> None:
    told = verdict(tree("CORS_ORIGINS=http://a\n", main=given(origins)), "WEB801")
    assert [type(f) for f in told] == [Undecided]
    assert verdict(tree(f"CORS_ORIGINS={ORIGIN}\n", main=given(origins)), "WEB801") == []


def test_a_setting_in_lower_case_is_used_by_the_code_as_well(tree: MakeTree) -> None:
    config, main = (t.replace("CORS_ORIGINS", "cors_origins") for t in (LIST, OF_LIST))
    assert len(verdict(tree("CORS_ORIGINS='[\"http://a\"]'\n", config, main), "WEB801")) == 1


def test_what_is_not_there_or_not_used_is_skipped(tree: MakeTree) -> None:
    with pytest.raises(Absent):
        verdict(tree(), "WEB801")
    with pytest.raises(Absent):
        verdict(tree("CORS_ORIGINS=http://a\n", "", "app = FastAPI()\n"), "WEB801")


def test_a_list_that_is_no_json_is_undecided(tree: MakeTree) -> None:
    told = verdict(tree("CORS_ORIGINS=\"['http://a']\"\n"), "WEB801")
    assert [type(f) for f in told] == [Undecided]


PROXY = "export default {{ server: {{ proxy: {{ '/api': '{}' }} }} }}"
LEADS_THERE = PROXY.format("http://127.0.0.1:8100")
BY_A_PATH = "fetch('/api/x')\n"


@pytest.mark.parametrize(
    ("vite", "script", "proxied"),
    [
        (LEADS_THERE, BY_A_PATH, True),
        (PROXY.format("http://localhost:8100/"), BY_A_PATH, True),
        (LEADS_THERE, BY_A_PATH + "fetch('https://api.example.org/x')\n", True),
        (LEADS_THERE, "// http://localhost:8100 is the gateway\n" + BY_A_PATH, True),
        (PROXY.format("http://localhost:9000"), BY_A_PATH, False),
        ("export default { server: { proxy: { '/api': target } } }", BY_A_PATH, False),
        (
            "export default { server: { proxy: { '/api/y': 'http://localhost:8100' } } }",
            BY_A_PATH,
            False,
        ),
        (LEADS_THERE, "", False),
        (LEADS_THERE, BY_A_PATH + "fetch('http://localhost:8100/api/y')\n", False),
        (LEADS_THERE, BY_A_PATH + "fetch(`${import.meta.env.VITE_API}/y`)\n", False),
        (LEADS_THERE, BY_A_PATH + "fetch(`//${location.hostname}:${port}/api`)\n", False),
        (LEADS_THERE, BY_A_PATH + "axios.create({ baseURL: base })\n", False),
        (LEADS_THERE, BY_A_PATH + "const api = '//gateway.local:8100'\n", False),
    ],
)
def test_origins_do_not_matter_where_all_calls_go_through_the_proxy(
    vite: str, script: str, proxied: bool, tree: MakeTree
) -> None:
    files = {"frontend/vite.config.js": vite, "frontend/src/a.js": script}
    platform = tree("CORS_ORIGINS=http://localhost:3000\n", **files)
    if proxied:
        with pytest.raises(Absent, match="proxy of its dev server"):
            verdict(platform, "WEB801")
    else:
        assert len(verdict(platform, "WEB801")) == 1


def test_a_spelling_is_a_warning_where_all_calls_go_through_the_proxy(tree: MakeTree) -> None:
    setting = f"CORS_ORIGINS={ORIGIN}/\n"
    (finding,) = verdict(tree(setting), "WEB806")
    assert finding.severity is Severity.ERROR
    files = {"frontend/vite.config.js": LEADS_THERE, "frontend/src/a.js": BY_A_PATH}
    (finding,) = verdict(tree(setting, **files), "WEB806")
    assert finding.severity is None


def test_origins_in_the_source_count_where_the_gateway_is_called_by_its_address(
    tree: MakeTree,
) -> None:
    main = given("['http://localhost:3000']")
    with pytest.raises(Absent):
        verdict(tree(main=main), "WEB801")
    call = {"frontend/src/a.js": "fetch('http://localhost:8100/api/x')"}
    (finding,) = verdict(tree(main=main, **call), "WEB801")
    assert str(finding.place) == "backend/gateway/main.py:7:50"
    assert finding.data["no_fix"]
    right = given(f"['http://localhost:3000', '{ORIGIN}']")
    assert verdict(tree(main=right, **call), "WEB801") == []


def test_a_setting_of_any_name_is_followed(tree: MakeTree) -> None:
    config, main = (t.replace("CORS_ORIGINS", "ALLOWED") for t in (LIST, OF_LIST))
    (action,) = mended(tree("ALLOWED='[\"http://a\"]'\n", config, main), "WEB801")
    assert action.result.startswith(b"""ALLOWED='["http://a", "http://localhost:5173"]'\n""")


# WEB806.


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (f"{ORIGIN}/", ORIGIN),
        (f"{ORIGIN}/app", ORIGIN),
        ("HTTP://LocalHost:5173", ORIGIN),
        ("localhost:5173", ORIGIN),
        (f"http://a/,{ORIGIN}", f"http://a,{ORIGIN}"),
        (f"http://a:80,{ORIGIN}", f"http://a,{ORIGIN}"),
        (f"https://a:443,{ORIGIN}", f"https://a,{ORIGIN}"),
    ],
)
def test_an_entry_is_written_as_a_browser_sends_it(tree: MakeTree, text: str, after: str) -> None:
    platform = tree(f"A=http://a/\r\nCORS_ORIGINS={text}  # HTTP\r\n")
    (finding,) = verdict(platform, "WEB806")
    refused = finding.wanted == ORIGIN
    assert finding.severity is (Severity.ERROR if refused else None)
    assert verdict(platform, "WEB801") == []
    (action,) = mended(platform, "WEB806")
    expected = f"A=http://a/\r\nCORS_ORIGINS={after}  # HTTP\r\nGATEWAY_PORT=8100\n"
    assert action.result.decode() == expected


@pytest.mark.parametrize(
    "text",
    [
        ORIGIN,
        "*",
        "http://a/,*",
        "null",
        "capacitor://localhost",
        "app://obsidian.md/",
        "chrome-extension://AbC",
        "http://[::1]:5173",
        "https://<your-domain>",
        "http://a:8080,",
        "http://my_host",
        "https://xn--bcher-kva.example",
    ],
)
def test_an_entry_that_may_match_is_silent(tree: MakeTree, text: str) -> None:
    assert verdict(tree(f"CORS_ORIGINS={text}\n"), "WEB806") == []


@pytest.mark.parametrize(
    "origins",
    [
        "[o.rstrip('/') for o in settings.origins]",
        "[o.strip('/ ') for o in settings.CORS_ORIGINS.split(',')]",
        "list(map(lambda o: o.rstrip('/'), settings.origins))",
        "clean(settings.origins)",
        "[*settings.origins, '*']",
    ],
)
def test_what_the_code_puts_right_is_right(tree: MakeTree, origins: str) -> None:
    platform = tree(f"CORS_ORIGINS={ORIGIN}/\n", main=given(origins))
    assert verdict(platform, "WEB806") == []


def test_a_star_inside_never_matches_unless_there_is_a_pattern(tree: MakeTree) -> None:
    text = "CORS_ORIGINS=https://*.example.com\n"
    (finding,) = verdict(tree(text), "WEB806")
    assert finding.data["no_fix"]
    pattern = given("settings.origins, allow_origin_regex=r'https://.*\\.example\\.com'")
    assert verdict(tree(text, main=pattern), "WEB806") == []


def test_blanks_stay_where_the_code_does_not_strip(tree: MakeTree) -> None:
    platform = tree(
        f"CORS_ORIGINS=http://a, {ORIGIN}\n", main=given("settings.CORS_ORIGINS.split(',')")
    )
    (finding,) = verdict(platform, "WEB806")
    assert finding.severity is Severity.ERROR
    (action,) = mended(platform, "WEB806")
    assert action.result.startswith(f"CORS_ORIGINS=http://a,{ORIGIN}\n".encode())


def test_an_entry_that_stands_there_twice_is_left_alone(tree: MakeTree) -> None:
    with pytest.raises(Absent):
        mended(tree(f"CORS_ORIGINS={ORIGIN}/,{ORIGIN}/\n"), "WEB806")


def test_several_origins_in_one_text_are_told(tree: MakeTree) -> None:
    platform = tree(f"CORS_ORIGINS={ORIGIN},http://a\n", main=given("[settings.CORS_ORIGINS]"))
    (finding,) = verdict(platform, "WEB806")
    assert "several origins" in finding.message
    assert finding.data["no_fix"]


def test_a_literal_of_the_source_is_mended_in_place(tree: MakeTree) -> None:
    main = given("('http://é', 'http://localhost:5173/')  # é\n")
    platform = tree(main=main)
    (finding,) = [f for f in verdict(platform, "WEB806") if "5173" in f.target]
    assert (finding.place.path, finding.place.line) == ("backend/gateway/main.py", 7)
    assert finding.severity is Severity.ERROR
    (action,) = mended(platform, "WEB806")
    assert action.result.decode() == main.replace("5173/", "5173")


URLS = """from pydantic import AnyHttpUrl
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    CORS_ORIGINS: list[AnyHttpUrl] = ["http://localhost:5173"]


settings = Settings()
"""


def test_the_slash_of_pydantics_urls_is_taken_off_in_the_code(tree: MakeTree) -> None:
    main = given("[str(origin) for origin in settings.CORS_ORIGINS]")
    platform = tree(config=URLS, main=main)
    (finding,) = verdict(platform, "WEB806")
    assert (finding.severity, finding.found) == (Severity.ERROR, f"{ORIGIN}/")
    (action,) = mended(platform, "WEB806")
    assert action.result.decode() == main.replace("str(origin)", 'str(origin).rstrip("/")')


def test_urls_are_no_texts_under_pydantic_2_only(tree: MakeTree) -> None:
    main = given("settings.CORS_ORIGINS")
    (finding,) = verdict(tree(config=URLS, main=main), "WEB806")
    assert finding.severity is Severity.ERROR
    assert finding.data["no_fix"]
    old = {"backend/requirements.txt": "fastapi\npydantic<2\n"}
    config = URLS.replace("pydantic_settings", "pydantic")
    assert verdict(tree(config=config, main=main, **old), "WEB806") == []


@pytest.mark.parametrize("made", ["str(o).rstrip('/')", "str(o).strip('/')", "str(o)[:-1]"])
def test_urls_made_right_are_silent(tree: MakeTree, made: str) -> None:
    main = given(f"[{made} for o in settings.CORS_ORIGINS]")
    assert verdict(tree(config=URLS, main=main), "WEB806") == []
