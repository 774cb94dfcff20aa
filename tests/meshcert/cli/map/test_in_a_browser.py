"""The page of ``meshcert map`` in a real browser: what is seen, clicked, typed and heard."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from evidence.fixtures.container import eventually
from local.cdk import ROOT
from meshcert.cli.__main__ import main
from meshcert.cli.map.page import Shown, page
from meshcert.mesh import Mesh
from tests.meshcert.cli.map.chromium import Browser
from tests.meshcert.cli.map.companies import company
from tests.meshcert.cli.map.statuses import status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP = ROOT / "examples" / "shop.yaml"
LUMINANCE = """
  const luminance = (text) => {
    const [r, g, b] = text.match(/[\\d.]+/g).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
"""
"""Contrast of two colours, as WCAG 2.2 defines it (relative luminance)."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all pages."""
    running = Browser(ROOT, tmp_path_factory.mktemp("profile"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of examples/shop.yaml with a status."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "status.json").write_text(json.dumps(status("shop", gateway=0.12, orders=0.85, catalog=0.96)))
    written = ["--status", str(folder / "status.json"), "--output", str(folder / "map.html")]
    assert main(["map", "--mesh", str(SHOP), *written]) == 0
    return folder / "map.html"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a hundred services."""
    path = tmp_path_factory.mktemp("large") / "map.html"
    path.write_text(drawn(company(98)))
    return path


def drawn(values: dict[str, Any], seen: dict[str, Any] | None = None) -> str:
    """The page of a mesh file's values."""
    return page(Shown(Mesh.model_validate(values), "mesh.yaml", lambda _: 1, seen)).text


def test_the_page_opens_without_asking_the_network_and_without_a_complaint(browser: Browser, shop: Path) -> None:
    """One file, and a policy that its own style and script pass."""
    browser.open(shop)

    assert browser.requests() == [shop.as_uri()]
    assert browser.complaints() == []
    assert browser.texts("h1") == ["shop"]
    assert browser.texts(".box .name") == ["any client", "partner", "gateway", "orders", "catalog", "search"]


def test_a_call_that_is_not_authenticated_looks_it_without_any_colour(browser: Browser, tmp_path: Path) -> None:
    """Three patterns of line, and words beside those that are less than mutual TLS."""
    path = tmp_path / "map.html"
    path.write_text(drawn(company(12)))
    browser.open(path)

    patterns = browser.value(
        "['mutual', 'one-way', 'plain'].map((one) =>"
        " getComputedStyle(document.querySelector(`#picture .line.${one}`)).strokeDasharray)"
    )
    beside = browser.value(
        "[...document.querySelectorAll('#picture .line:not(.mutual)')].map((line) =>"
        " document.querySelector(`.words[data-line=${line.id}]`).textContent)"
    )

    assert patterns == ["none", "9px, 5px", "1px, 6px"]
    assert (beside.count("one-way TLS"), beside.count("plain text"), len(beside)) == (4, 2, 6)
    assert browser.texts(".legend b") == ["17 mutual TLS", "4 one-way TLS", "2 plain text"]


def test_a_click_on_a_service_leaves_its_calls_and_another_brings_all_back(browser: Browser, shop: Path) -> None:
    """In the tables and in the picture."""
    browser.open(shop)

    browser.click(".box[data-name=orders]")

    assert browser.texts("#calls tbody th") == ["gateway"]
    assert browser.texts("#lifetimes tbody th") == ["orders"]
    assert browser.texts("#found") == ["1 of 5 calls"]
    assert browser.texts("#refused tbody tr")[0].startswith("orders:9443catalog, search")
    assert browser.value("[...document.querySelectorAll('.box.faint')].map((box) => box.dataset.name)") == [
        "any client",
        "partner",
        "catalog",
        "search",
    ]

    browser.click(".box[data-name=orders]")

    assert len(browser.texts("#calls tbody tr")) == 5
    assert browser.value("document.querySelectorAll('.faint').length") == 0


def test_a_service_that_is_chosen_is_not_one_whose_name_only_begins_alike(browser: Browser, large: Path) -> None:
    """Orders is not orders1."""
    browser.open(large)

    browser.click(".box[data-name=orders]")

    pairs = browser.value(
        "[...document.querySelectorAll('#calls tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => [row.dataset.caller, row.dataset.callee])"
    )
    assert pairs
    assert all("orders" in pair for pair in pairs)


def test_typing_leaves_what_has_all_the_words_and_escape_brings_all_back(browser: Browser, large: Path) -> None:
    """At a hundred services this is how one finds what is not encrypted yet."""
    browser.open(large)

    browser.press("/")
    browser.type("plain text")

    shown = browser.texts("#calls tbody tr")
    assert 0 < len(shown) < 30
    assert all("plain text" in row for row in shown)
    assert browser.texts("#found") == [f"{len(shown)} of 174 calls"]
    assert browser.value("document.querySelectorAll('#picture .line.strong').length") == len(shown)

    browser.press("Escape")

    assert len(browser.texts("#calls tbody tr")) == 174


def test_everything_is_reached_by_keyboard_and_the_picture_can_be_skipped(browser: Browser, shop: Path) -> None:
    """Tab by Tab, with a focus that is seen; Enter chooses."""
    browser.open(shop)
    met = []
    for _ in range(9):
        browser.press("Tab")
        met.append(browser.value("document.activeElement.dataset.name || document.activeElement.className || 'find'"))

    assert met[:5] == ["skip", "find", "sheet", "any client", "partner"]
    assert met[5:] == ["gateway", "orders", "catalog", "search"]
    assert browser.value("getComputedStyle(document.activeElement.querySelector('rect')).strokeWidth") == "4px"

    browser.press("Enter")
    assert browser.texts("#calls tbody th") == ["gateway"]
    assert browser.value("document.querySelector('[aria-current=true]').dataset.name") == "search"

    browser.open(shop)
    browser.press("Tab")
    browser.press("Enter")
    assert browser.value("document.activeElement.id") == "calls"


def test_a_screen_reader_gets_every_call_from_a_table_and_every_service_from_a_link(
    browser: Browser, shop: Path
) -> None:
    """With names, heads of rows and columns; lines and their words are in the table and not read twice."""
    browser.open(shop)

    spoken = browser.spoken()

    assert [name for role, name in spoken if role == "table"] == [
        "Who calls whom",
        "Lifetimes",
        "Who is refused, and why",
    ]
    assert ("link", "orders, virtual node. Called by gateway. Calls nobody.") in spoken
    assert ("link", "gateway, virtual gateway. Called by any client, partner. Calls orders, catalog, search.") in spoken
    assert ("searchbox", "Show only") in spoken
    assert ("image", "85% of its lifetime is gone, to be renewed at 95%") in spoken
    heads = [name for role, name in spoken if role == "columnheader"]
    assert heads[:6] == ["Caller", "Calls", "Talks over", "The caller proves", "The callee proves", "In the file"]
    assert [name for role, name in spoken if role == "rowheader"][:5] == ["any client", "partner", *["gateway"] * 3]
    assert [name for role, name in spoken if role == "StaticText" and name == "one-way TLS"] == ["one-way TLS"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_is_readable_in_the_light_and_in_the_dark(browser: Browser, shop: Path, *, dark: bool) -> None:
    """A contrast of 4.5 at least (WCAG 2.2, 1.4.3), and lines of 3 (1.4.11)."""
    browser.open(shop, dark=dark)

    faint = browser.value(
        f"(() => {{ {LUMINANCE}"
        "const found = [];"
        "const paper = getComputedStyle(document.body).backgroundColor;"
        "const sheet = getComputedStyle(document.querySelector('.sheet')).backgroundColor;"
        "for (const one of document.querySelectorAll('h1, h2, p, label, b, small, td, th, code, li span, .served')) {"
        "  const ratio = contrast(getComputedStyle(one).color, paper);"
        "  if (ratio < 4.5) found.push([one.outerHTML.slice(0, 60), ratio]); }"
        "for (const one of document.querySelectorAll('.box text')) {"
        "  const under = getComputedStyle(one.parentNode.querySelector('rect')).fill;"
        "  const ratio = contrast(getComputedStyle(one).fill, under);"
        "  if (ratio < 4.5) found.push([one.outerHTML.slice(0, 60), ratio]); }"
        "for (const one of document.querySelectorAll('#picture .line, .words')) {"
        "  const style = getComputedStyle(one), text = one.tagName === 'text';"
        "  const ratio = contrast(text ? style.fill : style.stroke, sheet);"
        "  if (ratio < (text ? 4.5 : 3)) found.push([one.outerHTML.slice(0, 60), ratio]); }"
        "return found })()"
    )
    brightness = browser.value(
        f"(() => {{ {LUMINANCE} return luminance(getComputedStyle(document.body).backgroundColor) }})()"
    )

    assert faint == []
    assert (brightness < 0.1) == dark


@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_overlaps_and_no_text_is_cut_at_a_hundred_services(browser: Browser, large: Path, width: int) -> None:
    """On a desk and on a telephone: the picture scrolls in its sheet, the page never sideways."""
    browser.open(large, width=width)

    boxes = browser.value(
        "[...document.querySelectorAll('.box rect')].map((one) => one.getBBox())"
        ".map(({x, y, width, height}) => [x, y, x + width, y + height])"
    )
    wide = browser.value(
        "[...document.querySelectorAll('.box text')].filter((text) =>"
        " text.getBBox().width > text.parentNode.querySelector('rect').getBBox().width).map((text) => text.textContent)"
    )

    assert len(boxes) == 102
    for number, (left, top, right, bottom) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    assert wide == []
    assert browser.value("document.documentElement.scrollWidth") <= width


def test_a_permissive_listener_tells_how_it_is_asked(browser: Browser, tmp_path: Path) -> None:
    """Beside each call to it; of a listener whose tasks do not say, that they do not."""
    seen = status("company-12", mail=0.5)
    (first, second) = seen["identities"][0]["services"][0]["tasks"]
    first["requests"] = [{"port": 9443, "tls": 40, "plain": 2, "last_plain_at": "2026-12-01T15:40:35+00:00"}]
    second["requests"] = [{"port": 9443, "tls": 2, "plain": 0, "last_plain_at": None}]
    second["started_at"] = "2026-11-30T15:42:35+00:00"
    for name, said in (("mail", seen), ("users", {**seen, "identities": []})):
        path = tmp_path / f"{name}.html"
        path.write_text(drawn(company(12), said))
        browser.open(path)
        cells = browser.texts("#calls tr[data-callee=mail] td.manner")
        assert cells
        told = (
            "2 in plain text, 42 over TLS, by every task since 24 hours ago: STRICT would have refused 2, the last 2"
            " minutes ago"
            if said is seen
            else "its tasks do not say how they have been asked"
        )
        assert all(cell.endswith(f"PERMISSIVE listener{told}") for cell in cells), cells


def test_what_others_wrote_is_text_and_never_markup(browser: Browser, tmp_path: Path) -> None:
    """A name in the mesh file, or what a task says, may be anything; checks are asked elsewhere."""
    attack = "\"'><img src=x onerror=window.taken=1><script>window.taken=1</script>"
    values = json.loads(json.dumps(company(12)).replace("orders1", attack.replace('"', '\\"').replace("/", "\\/")))
    values["mesh"]["name"] = f"{attack}\u202e\x1b[2J"
    seen = status(attack, **{attack: 0.5})
    seen["identities"][0]["findings"] = [{"kind": attack, "detail": attack, "remedy": attack}]
    seen["identities"][0]["services"][0]["tasks"][0]["error"] = attack
    path = tmp_path / "map.html"
    path.write_text(drawn(values, seen))

    browser.open(path)

    assert browser.value("window.taken") is None
    assert browser.value("document.querySelectorAll('img, script').length") == 1
    assert browser.complaints() == []
    assert browser.texts("h1") == [f"{attack}\\u202e\\x1b[2J"]
    assert attack in " ".join(browser.texts("#lifetimes td"))
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e]", path.read_text())


def test_the_pages_policy_stops_what_is_not_its_own(browser: Browser, shop: Path) -> None:
    """Even if markup came in: no script of others runs, and no address is asked."""
    browser.open(shop)

    browser.value(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"http://127.0.0.1:9/x\" onerror=\"window.taken=1\">')"
    )
    browser.value(
        "(() => { const one = document.createElement('script'); one.textContent = 'window.taken=2';"
        " document.body.append(one) })()"
    )

    def stopped() -> bool:
        """Whether both are complained about and nothing was sent: Chromium tells of a blocked image later."""
        complaints = " ".join(browser.complaints())
        return {"default-src", "script-src"} <= set(re.findall("[a-z]+-src", complaints)) and (
            browser.requests() == [shop.as_uri()]
        )

    eventually(stopped, "both stopped by the policy")
    assert browser.value("window.taken") is None


def test_bars_are_as_long_as_what_is_gone_and_a_late_one_looks_late(browser: Browser, shop: Path) -> None:
    """In their length, in a number beside them and in words; the version that a task refuses is told."""
    browser.open(shop)

    bars = browser.value(
        "[...document.querySelectorAll('.bar')].map((bar) => {"
        " const [whole, gone] = bar.querySelectorAll('rect');"
        " return [Math.round(100 * gone.getBBox().width / whole.getBBox().width), gone.classList.contains('late')] })"
    )

    assert bars == [[12, False], [85, False], [96, True]]
    assert browser.texts(".share") == ["12%", "85%", "96%"]
    assert browser.texts("#lifetimes tbody tr")[1].startswith("orders")


def test_the_picture_is_drawn(browser: Browser, shop: Path) -> None:
    """A screenshot has more than one colour in it, and differs in the dark."""
    browser.open(shop)
    light = browser.screenshot()
    browser.open(shop, dark=True)
    dark = browser.screenshot()

    assert light.startswith(b"\x89PNG")
    assert len(light) > 20_000
    assert light != dark


def test_the_same_mesh_gives_the_same_page() -> None:
    """A page in a repository changes only with its mesh file."""
    assert drawn(company(30)) == drawn(yaml.safe_load(yaml.safe_dump(company(30), sort_keys=False)))
