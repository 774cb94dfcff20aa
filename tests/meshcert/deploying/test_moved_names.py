"""Peers go over from one name of an identity to another in two deploys; in one, some task would be refused."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.meshcert.publishing.world import IDENTITY, NAME, SECRET

if TYPE_CHECKING:
    from tests.meshcert.publishing.world import World

SPIFFE_ID = "spiffe://color.example/teller"
BOTH = [NAME, SPIFFE_ID]


def _identity(names: list[str], accepted: list[str], **more: Any) -> dict[str, Any]:
    """Its properties, with a certificate of these names."""
    return IDENTITY | {"CertificateArn": f"arn:{len(names)}", "Names": names, "PeerNames": accepted} | more


DNS = _identity([NAME], [NAME])
EITHER = _identity(BOTH, BOTH)
SPIFFE = _identity(BOTH, [SPIFFE_ID])


@pytest.fixture(autouse=True)
def certificates(world: World) -> None:
    """ACM has both certificates."""
    for names in ([NAME], BOTH):
        world.issue(f"arn:{len(names)}", names)


def _update(world: World, old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    return world.ask("Update", new, OldResourceProperties=old, PhysicalResourceId="colorteller")


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([DNS, EITHER, SPIFFE], id="there"),
        pytest.param([SPIFFE, EITHER, DNS], id="back"),
        pytest.param([EITHER, DNS], id="the name and the lists that had it go together"),
        pytest.param([_identity([NAME], [], TrustedByPeers=[]), SPIFFE], id="nobody has called it before"),
        pytest.param([SPIFFE, _identity([NAME], [], TrustedByPeers=[])], id="nobody calls it any more"),
        pytest.param([DNS | {"Services": []}, SPIFFE], id="no task serves it"),
    ],
)
def test_lists_that_one_of_both_certificates_meets_pass_and_are_rolled_back(
    world: World, steps: list[dict[str, Any]]
) -> None:
    """Whatever passes forwards passes backwards, but for the last: then tasks serve it."""
    answers = [world.ask("Create", steps[0])]
    answers += [_update(world, *step) for step in pairwise(steps)]
    if steps[0]["Services"]:
        answers.append(_update(world, steps[-1], steps[-2]))

    assert [answered.get("Reason") for answered in answers] == [None] * len(answers)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        pytest.param(
            DNS,
            SPIFFE,
            f"with this deploy its peers accept {SPIFFE_ID} alone, and the certificate that is served until then",
            id="the new name and lists of it alone",
        ),
        pytest.param(
            _identity([NAME], []), SPIFFE, f"its peers accept {SPIFFE_ID} alone", id="peers listed no names before"
        ),
        pytest.param(
            SPIFFE,
            DNS,
            f"tasks that run now accept {SPIFFE_ID} alone, and the new certificate has none",
            id="the old name goes while lists have it alone",
        ),
    ],
)
def test_lists_that_one_of_both_certificates_does_not_meet_are_refused(
    world: World, old: dict[str, Any], new: dict[str, Any], words: str
) -> None:
    """The reason spells the two steps out; nothing was touched, and the rollback passes."""
    world.ask("Create", old)
    before = world.current(SECRET), dict(world.identities.rows)

    answered = _update(world, old, new)

    assert words in answered["Reason"]
    assert "let the peers' subject_alternative_names accept both" in answered["Reason"]
    assert (world.current(SECRET), world.identities.rows) == before
    assert _update(world, new, old)["Status"] == "SUCCESS"
