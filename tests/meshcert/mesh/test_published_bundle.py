"""A bundle for partners in the mesh file: what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from meshcert.mesh import read_mesh
from tests.meshcert.mesh.test_trust_domains import SPIFFE

ROOT = Path(__file__).parents[3]
GOOD: dict[str, Any] = {"hierarchies": ["yelb"]}
ARN = "arn:aws:cloudfront::111122223333:distribution/E1ABCDEF"
PLACE = "mesh.published_bundle"


def _faults(published: dict[str, Any]) -> dict[str, str]:
    """What is wrong, by its place."""
    values = copy.deepcopy(SPIFFE)
    values["mesh"]["published_bundle"] = published
    reading = read_mesh(yaml.safe_dump(values, sort_keys=False).encode())
    return {fault.place: fault.problem for fault in reading.faults}


@pytest.mark.parametrize(
    "more", [{}, {"public": True}, {"distribution": ARN}, {"refresh_hint_s": 86_400}], ids=",".join
)
def test_a_mesh_may_publish_its_bundle(more: dict[str, Any]) -> None:
    """For nobody unless it says for whom."""
    assert _faults(GOOD | more) == {}


@pytest.mark.parametrize(
    ("change", "place", "problem"),
    [
        ({"hierarchies": ["nobody"]}, f"{PLACE}.hierarchies[0]", "nobody"),
        ({"hierarchies": ["yelb", "yelb"]}, f"{PLACE}.hierarchies[1]", "written twice"),
        ({"hierarchies": []}, f"{PLACE}.hierarchies", ""),
        ({"public": True, "distribution": ARN}, f"{PLACE}.public", "everybody may read"),
        ({"distribution": "E1ABCDEF"}, f"{PLACE}.distribution", ""),
        ({"refresh_hint_s": 299}, f"{PLACE}.refresh_hint_s", ""),
        ({"refresh_hint_s": 86_401}, f"{PLACE}.refresh_hint_s", ""),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_cannot_be_published_is_refused(change: dict[str, Any], place: str, problem: str) -> None:
    """Each at its place."""
    faults = _faults(GOOD | change)

    assert set(faults) == {place}
    assert problem in faults[place]


def test_a_bundle_is_that_of_a_trust_domain() -> None:
    """Without one there is nobody whose IDs a partner could believe."""
    values = yaml.safe_load((ROOT / "mesh.yaml").read_text())
    values["mesh"]["published_bundle"] = {"hierarchies": ["colorgateway"]}

    (fault,) = read_mesh(yaml.safe_dump(values, sort_keys=False).encode()).faults
    assert (fault.place, fault.problem) == (
        "mesh.trust_domain",
        "it is missing, and its bundle is published for partners",
    )


def test_a_services_name_is_not_the_publishers() -> None:
    """Its role and its log group have that name."""
    values = copy.deepcopy(SPIFFE)
    values["mesh"]["published_bundle"] = GOOD
    values["services"]["publisher"] = values["services"].pop("gateway")

    (fault,) = read_mesh(yaml.safe_dump(values, sort_keys=False).encode()).faults
    assert fault.place == "services.publisher"
