"""The picture of the rooms is drawn from the imports: what it shows is so, and what is so it shows."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tools.rooms.drawing import draw, write
from tools.rooms.floors import RoomGraph, build
from tools.rooms.reading import read_files

ROOT = Path(__file__).resolve().parent.parent.parent
SVG = "{http://www.w3.org/2000/svg}"


def graph_of(folder: Path, sources: dict[str, str]) -> RoomGraph:
    """The graph of these sources, by path."""
    for path, text in sources.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return build(read_files(folder))


@pytest.fixture(scope="module")
def product() -> RoomGraph:
    """The product's own graph."""
    return build(read_files(ROOT))


def test_the_picture_in_the_documents_is_that_of_the_code(product: RoomGraph) -> None:
    """If this fails, the code has other rooms or arrows than the picture: run `make rooms` and look at it."""
    assert (ROOT / "docs" / "rooms.svg").read_text(encoding="utf-8") == draw(product)


def test_the_picture_has_every_room_and_every_arrow_that_is_not_implied(product: RoomGraph) -> None:
    """Their titles name them, and say how many imports an arrow stands for."""
    titles = {title.text for title in ET.fromstring(draw(product)).iter(f"{SVG}title")}  # noqa: S314 our own picture

    assert set(product.rooms) <= titles
    for start, end in product.direct():
        assert any(str(title).startswith(f"{start} → {end}: ") for title in titles)


def test_a_room_stands_above_everything_it_imports(product: RoomGraph) -> None:
    """On a floor of its own above, unless the arrow is shown as one that points up."""
    floor = {name: number for number, names in enumerate(product.floors) for name in names}

    assert len(product.arrows) > 50
    assert {(a, b) for a, b in product.arrows if floor[a] >= floor[b]} <= product.upward


def test_a_folder_is_a_room_and_loose_files_of_one_floor_are_one(tmp_path: Path) -> None:
    """Loose files have a room of their own only where other rooms lie beside them."""
    graph = graph_of(
        tmp_path,
        {
            "meshcert/__init__.py": '"""Words."""\n',
            "meshcert/top.py": "from meshcert.inner import one\n",
            "meshcert/left.py": "",
            "meshcert/right.py": "",
            "meshcert/inner/__init__.py": "",
            "meshcert/inner/one.py": "from meshcert import left\nimport meshcert.right\n",
        },
    )

    assert graph.floors == [["meshcert: top"], ["meshcert/inner"], ["meshcert: left, right"]]
    assert graph.arrows == {
        ("meshcert/inner", "meshcert: left, right"): 2,
        ("meshcert: top", "meshcert/inner"): 1,
    }


def test_imports_count_wherever_they_stand(tmp_path: Path) -> None:
    """For the type checker alone, inside a function, relative, and into the program in envoy-image."""
    graph = graph_of(
        tmp_path,
        {
            "meshcert/a/x.py": "if TYPE_CHECKING:\n    from meshcert.b.x import Thing\n",
            "meshcert/b/x.py": "def late():\n    from ..c import x\n",
            "meshcert/c/x.py": "",
            "envoy-image/entrypoint/d/x.py": "import meshcert.a.x\n",
            "envoy-image/entrypoint/e/x.py": "from entrypoint.d.x import thing\nimport json\n",
        },
    )

    assert list(graph.arrows) == [
        ("envoy-image/entrypoint/d", "meshcert/a"),
        ("envoy-image/entrypoint/e", "envoy-image/entrypoint/d"),
        ("meshcert/a", "meshcert/b"),
        ("meshcert/b", "meshcert/c"),
    ]


def test_an_arrow_that_a_longer_way_tells_is_not_drawn(tmp_path: Path) -> None:
    """It is counted all the same."""
    graph = graph_of(
        tmp_path,
        {
            "meshcert/a/x.py": "import meshcert.b.x, meshcert.c.x\n",
            "meshcert/b/x.py": "import meshcert.c.x\n",
            "meshcert/c/x.py": "",
        },
    )

    assert len(graph.arrows) == 3
    assert graph.direct() == [("meshcert/a", "meshcert/b"), ("meshcert/b", "meshcert/c")]


def test_the_arrow_that_closes_a_circle_points_up_in_red(tmp_path: Path) -> None:
    """Of the two the one with fewer imports."""
    graph = graph_of(
        tmp_path,
        {
            "meshcert/a/x.py": "import meshcert.b.x, meshcert.b.y\n",
            "meshcert/b/x.py": "import meshcert.a.x\n",
            "meshcert/b/y.py": "",
        },
    )

    assert graph.floors == [["meshcert/a"], ["meshcert/b"]]
    assert graph.upward == {("meshcert/b", "meshcert/a")}
    assert draw(graph).count('class="up" marker-end') == 1
    assert "    UP meshcert/a" in write(graph).splitlines()
