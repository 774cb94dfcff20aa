"""The CAs of trust bundles, as stacks write them and the deploy function reads them."""

from __future__ import annotations

import uuid

import pytest

from meshcert.mesh import read_mesh
from meshcert.publishing.declared_bundles import LONGEST, entry, length, read_bundles
from tests.meshcert.mesh.mesh_slips import COLOR, changed

ONE, TWO, THREE = (str(uuid.uuid4()) for _ in range(3))
ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/"


def test_what_is_written_is_read_and_takes_as_much_as_is_counted() -> None:
    """With lists and without."""
    entries = [entry("gateway", [ONE], []), entry("teller", [ONE, TWO], [THREE, TWO])]

    read = read_bundles(" ".join(entries))

    assert read["gateway"].is_as_declared([ARN + ONE], [])
    assert read["teller"].is_as_declared([ARN + TWO, ARN + ONE], [ARN + TWO, ARN + THREE])
    assert len(" ".join(entries)) <= length("gateway", 1) + length("teller", 4)


@pytest.mark.parametrize(
    ("roots", "listed"),
    [([], []), ([ONE, TWO], []), ([TWO], []), ([ONE], [ONE])],
    ids=["none", "more", "other", "list"],
)
def test_other_cas_are_others(roots: list[str], listed: list[str]) -> None:
    """More, fewer and different ones."""
    (declared,) = read_bundles(entry("gateway", [ONE], [])).values()

    assert not declared.is_as_declared([ARN + root for root in roots], [ARN + each for each in listed])


@pytest.mark.parametrize("text", ["", " ", "=", "/", "gateway", "gateway=", "=/,", "a=b=c/d/e"])
def test_what_is_no_bundles_text_trusts_nobody(text: str) -> None:
    """No exception, and no request is as declared."""
    assert not any(each.is_as_declared([ARN + ONE], []) for each in read_bundles(text).values())


@pytest.mark.parametrize(("hierarchies", "is_refused"), [(40, False), (60, True)])
def test_more_hierarchies_than_the_environment_holds_are_refused(hierarchies: int, *, is_refused: bool) -> None:
    """Before a deploy fails on them; names of the longest kind."""
    one = COLOR["hierarchies"]["colorgateway"]
    names = [f"hierarchy-number-{number:03}" for number in range(hierarchies - 2)]

    faults = read_mesh(changed(*((f"hierarchies.{name}", one) for name in names))).faults

    assert [fault.place for fault in faults] == ["hierarchies"] * is_refused
    assert all(str(LONGEST) in fault.problem for fault in faults)
