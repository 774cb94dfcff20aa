"""``docs/architecture.md`` names files and rooms that exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import PAGES, ROOT, rows

PAGE = "docs/architecture.md"
TOP = ("meshcert", "envoy-image", "lambdas", "stacks", "local", "evidence", "tests", "tools")


def paths() -> list[str]:
    """Everything on the page that is a path in one of the folders at the top."""
    named = re.findall(rf"`((?:{'|'.join(map(re.escape, TOP))})/[\w./-]*)`", PAGES[PAGE])
    return sorted({name for name in named if "NAME" not in name})


@pytest.mark.parametrize("path", paths())
def test_every_path_on_the_page_exists(path: str) -> None:
    """A file that moves moves on the page, too."""
    assert (ROOT / path).exists()
    assert path.endswith("/") == (ROOT / path).is_dir()


@pytest.mark.parametrize("package", ["meshcert", "envoy-image/entrypoint"])
def test_every_room_has_its_line(package: str) -> None:
    """A new folder of product code is introduced to newcomers."""
    told = " ".join(path for path in paths())
    folders = {path.parent for path in (ROOT / package).glob("*/*.py")}

    assert len(folders) > 5
    for folder in folders:
        assert f"{folder.relative_to(ROOT).as_posix()}/" in told, folder


def test_every_question_has_a_file_and_a_test() -> None:
    """Read here, and see there that it is so."""
    table = rows(PAGE, "| question | read | tested in |")

    assert len(table) > 15
    for question, read, tested in table:
        assert question.endswith("?")
        assert "`" in read
        assert "`tests/" in tested
