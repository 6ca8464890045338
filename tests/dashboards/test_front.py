"""The document a browser gets first."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from dashboards.front import PARTS, PATHS, STATIC, front_document, front_routes
from dashboards.shell import VIEWS

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("part", PARTS)
def test_every_part_that_is_loaded_early_is_one_of_streamlits(part: str) -> None:
    (file,) = (STATIC / "static" / "js").glob(f"{part}.*.js")
    assert f'import "./static/js/{file.name}";' in front_document()


def test_the_document_is_streamlits_own_with_one_addition_to_its_head() -> None:
    own = (STATIC / "index.html").read_text(encoding="utf-8")
    before, after = own.split("</head>")
    assert front_document().startswith(before)
    assert front_document().endswith(after)


def test_its_pages_are_those_of_the_menu() -> None:
    assert tuple(view.PATH for view in VIEWS) == PATHS


def test_every_page_gets_it_and_nothing_else_does() -> None:
    client = TestClient(Starlette(routes=front_routes()))
    for path in PATHS:
        assert client.get(f"/{path}").text == front_document()
    assert client.get("/other").status_code == client.get("/today/_stcore/health").status_code == 404


def test_the_root_leads_to_the_first_page_with_all_that_was_asked_for() -> None:
    client = TestClient(Starlette(routes=front_routes()), follow_redirects=False)
    assert client.get("/").headers["location"] == "./today"
    assert client.get("/?line=a%20b&lang=ko").headers["location"] == "./today?line=a%20b&lang=ko"
