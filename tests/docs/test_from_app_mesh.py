"""``docs/from-app-mesh.md`` says of every field of App Mesh what the importer does with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshcert.appmesh.fields.kinds import FIELDS
from meshcert.appmesh.report import Fate
from meshcert.appmesh.resources import ResourceKind
from tests.docs.pages import PAGES

if TYPE_CHECKING:
    from meshcert.appmesh.fields.field import AppMeshField

PAGE = "docs/from-app-mesh.md"
HEAD = "| field | becomes | |\n|---|---|---|\n"


def table(kind: ResourceKind) -> str:
    """The page's table of one kind; what several kinds of routes have alike is one row."""
    routes: dict[tuple[str, str, str], list[str]] = {}
    for field in FIELDS[kind]:
        first, _, rest = field.path.partition(".")
        alike = rest if first.endswith("Route") else field.path
        becomes = field.becomes.replace(_snake(first), "…_route") if alike == rest else field.becomes
        routes.setdefault((alike, becomes, _says(field)), []).append(first)
    return HEAD + "".join(
        f"| `{'`, `'.join(dict.fromkeys(firsts)) + '`: `' + alike if firsts[0].endswith('Route') else alike}` "
        f"| {f'`{becomes}`' if becomes else ''} | {says} |\n"
        for (alike, becomes, says), firsts in routes.items()
    )


def _says(field: AppMeshField) -> str:
    return "kept" if field.fate is Fate.KEPT else f"{field.fate}: {field.note}"


def _snake(kind: str) -> str:
    return kind.replace("Route", "_route")


@pytest.mark.parametrize("kind", ResourceKind)
def test_every_field_is_on_the_page_with_what_becomes_of_it(kind: ResourceKind) -> None:
    """Whoever writes the page anew prints ``table(kind)``."""
    assert table(kind) in PAGES[PAGE]
