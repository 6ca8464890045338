"""The document a browser gets first: Streamlit's own, which waits here for nothing that is known beforehand."""

from pathlib import Path

import streamlit as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

__all__ = ["PATHS", "front_document", "front_routes"]

PATHS = ("today", "classes", "drift", "data", "decisions", "lots", "runs", "weekly")
"""Every page in the order of the menu: the pages themselves are read only where Streamlit runs them."""

STATIC = Path(st.__file__).parent / "static"
# What most pages show. Streamlit fetches such a part only once a page shows one, and leaves its place empty meanwhile.
PARTS = ("Html", "ButtonGroup", "Selectbox", "DownloadButton", "PageLink", "LinkButton", "rehype-raw")
# Else Streamlit asks for its server below the page's own path first, fails, and waits before it asks above.
SERVER = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", location.href).href }</script>'


def front_document() -> str:
    """Return Streamlit's document with the address of its server and the parts that most pages are made of."""
    document = (STATIC / "index.html").read_text(encoding="utf-8")
    files = [file for part in PARTS for file in sorted((STATIC / "static" / "js").glob(f"{part}.*.js"))]
    imports = " ".join(f'import "./static/js/{file.name}";' for file in files)
    return document.replace("</head>", f'{SERVER}<script type="module">{imports}</script></head>', 1)


def front_routes() -> list[Route]:
    """Return what answers at each page's path with the document, and at the root with the way to the first page."""
    document, base = front_document(), (st.get_option("server.baseUrlPath") or "").strip("/")

    def answer(_: Request) -> Response:
        return HTMLResponse(document, headers={"Cache-Control": "no-cache"})

    def lead(request: Request) -> Response:
        # Relative, so that it holds behind a proxy that takes a prefix away.
        asked = request.url.query
        return RedirectResponse(f"./{PATHS[0]}?{asked}" if asked else f"./{PATHS[0]}")

    above = f"/{base}" if base else ""
    return [Route(f"{above}/", lead), *(Route(f"{above}/{path}", answer) for path in PATHS)]
