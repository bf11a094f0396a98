"""What axe, which knows the rules of accessible pages, finds in one."""

from __future__ import annotations

from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page


def violations(page: Page, scheme: Literal["light", "dark"]) -> list[tuple[str, list[str]]]:
    """Rules that a page breaks in a colour scheme, which takes no page of its own; each with its first elements."""
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    results = Axe().run(page)
    return [(v["id"], [node["html"] for node in v["nodes"]][:3]) for v in results.response["violations"]]
