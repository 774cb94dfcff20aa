"""The page of ``meshcert map`` in a real browser: what is seen, clicked, typed and heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local.cdk import ROOT
from meshcert.cli.__main__ import main
from tests.meshcert.cli.map.chromium import Browser

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP = ROOT / "examples" / "shop.yaml"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all pages."""
    running = Browser(ROOT, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of examples/shop.yaml."""
    page = tmp_path_factory.mktemp("shop") / "map.html"
    assert main(["map", "--mesh", str(SHOP), "--output", str(page)]) == 0
    return page


def test_the_page_opens_without_asking_the_network_and_without_a_complaint(browser: Browser, shop: Path) -> None:
    """One file, and a policy that its own style and script pass."""
    browser.open(shop)

    assert browser.requests() == [shop.as_uri()]
    assert browser.complaints() == []
    assert browser.texts("h1") == ["shop"]
    assert browser.value("getComputedStyle(document.querySelector('.line.one-way')).strokeDasharray") == "9px, 5px"


def test_a_click_on_a_service_leaves_its_calls_and_another_brings_all_back(browser: Browser, shop: Path) -> None:
    """In the tables and in the picture."""
    browser.open(shop)

    browser.click(".box[data-name=orders]")

    assert browser.texts("#calls tbody th") == ["gateway"]
    assert browser.texts("#found") == ["1 of 5 calls"]
    assert browser.value("[...document.querySelectorAll('.box.faint')].map((box) => box.dataset.name)") == [
        "any client",
        "partner",
        "catalog",
        "search",
    ]

    browser.click(".box[data-name=orders]")

    assert len(browser.texts("#calls tbody tr")) == 5
    assert browser.value("document.querySelectorAll('.faint').length") == 0
