"""Hierarchies that are trusted together, while one takes the place of the other."""

from __future__ import annotations

import pytest

from meshcert.mesh import Mesh, proxy_settings, read_mesh
from meshcert.proxy import Revocation
from tests.meshcert.mesh.mesh_slips import BACKEND, CLIENT, COLOR, REMOVED, Slip, assert_found_alone, changed, faults_of

TELLERS = "hierarchies.colorteller"
NEW = ("hierarchies.colorteller-2", COLOR["hierarchies"]["colorteller"])
ADD = (f"{TELLERS}.also_trust", ["colorteller-2"])
MOVE = ("identities.colorteller.hierarchy", "colorteller-2")
TRUST_NEW = (f"{CLIENT}.validation.trust.hierarchy", "colorteller-2")


def _mesh(*changes: tuple[str, object]) -> Mesh:
    reading = read_mesh(changed(*changes))
    assert reading.mesh, reading.faults
    return reading.mesh


@pytest.mark.parametrize(
    "slip",
    [
        Slip(
            f"{TELLERS}.also_trust", ["colorgatewy"], "not declared", "mean colorgateway?", f"{TELLERS}.also_trust[0]"
        ),
        Slip(f"{TELLERS}.also_trust", ["colorteller"], "with itself", "Remove it", f"{TELLERS}.also_trust[0]"),
        Slip(f"{TELLERS}.also_trust", ["colorgateway"] * 2, "written twice", "Remove one", f"{TELLERS}.also_trust[1]"),
        Slip(f"{TELLERS}.also_trust", "colorgateway", "expected a list", "Write [colorgateway]"),
        Slip(f"{TELLERS}.stale_lists", "fail_closed", "no lists are made", "revocation: crl"),
        Slip(f"{TELLERS}.revocation", "ocsp", "not allowed", "none or crl"),
    ],
    ids=lambda slip: slip.problem,
)
def test_a_slip_about_trust_is_found_alone(slip: Slip) -> None:
    """What is trusted besides are other hierarchies of the file, each once; lists are told where they are made."""
    assert_found_alone(slip)


@pytest.mark.parametrize(
    ("step", "trusted"),
    [
        ((), ("colorteller",)),
        ((NEW, ADD), ("colorteller", "colorteller-2")),
        ((NEW, ADD, MOVE), ("colorteller", "colorteller-2")),
        ((NEW, ADD, MOVE, TRUST_NEW), ("colorteller-2",)),
        ((NEW, MOVE, TRUST_NEW), ("colorteller-2",)),
    ],
    ids=["before", "add", "move", "drop", "tidy up"],
)
def test_each_of_the_three_steps_is_a_good_file(step: tuple[tuple[str, object], ...], trusted: tuple[str, ...]) -> None:
    """And says which roots every peer of the teller trusts then."""
    assert _mesh(*step).trusted_by_peers("colorteller") == trusted


def test_moving_what_a_peer_does_not_trust_is_found() -> None:
    """The leaf moves before the root is added, or the root is dropped before the leaf moves."""
    for changes in ((NEW, MOVE), (NEW, TRUST_NEW)):
        faults = faults_of(changed(*changes))

        assert [fault.place for fault in faults] == [f"{CLIENT}.validation.trust.hierarchy"]
        assert "so the call can never succeed" in faults[0].problem


def test_a_hierarchy_goes_when_no_identity_needs_it() -> None:
    """Removed under an identity that still uses it, it is missed where it is used."""
    missed = faults_of(changed(NEW, TRUST_NEW, (TELLERS, REMOVED)))

    assert "colorteller" not in _mesh(NEW, MOVE, TRUST_NEW, (TELLERS, REMOVED)).hierarchies
    assert [fault.place for fault in missed] == ["identities.colorteller.hierarchy"]


def test_a_root_more_makes_ecs_start_new_tasks() -> None:
    """The settings say it: `redeploy` tasks read once, so the deploy that adds a root has to replace them."""
    one = proxy_settings(_mesh(NEW), "colorgateway")
    two = proxy_settings(_mesh(NEW, ADD), "colorgateway")

    assert one.trust_bundles["colorteller"].also_trust == ()
    assert two.trust_bundles["colorteller"].also_trust == ("colorteller-2",)
    assert one.to_json() != two.to_json()
    assert type(two).from_json(two.to_json()) == two


def test_an_identity_that_nobody_checks_has_no_peers_that_could_be_cut_off() -> None:
    """The gateway presents it to clients from outside the mesh alone."""
    lone = ("identities.front", {**COLOR["identities"]["colorgateway"], "dns_names": ["front.example.com"]})

    assert _mesh(lone).trusted_by_peers("front") == ()


def test_only_what_every_peer_trusts_counts() -> None:
    """Two gateways call the teller; one of them trusts both hierarchies, the other one alone."""
    again = COLOR["virtual_gateways"]["colorgateway"]
    changes = (
        NEW,
        (f"{NEW[0]}", {**COLOR["hierarchies"]["colorteller"], "also_trust": ["colorteller"]}),
        ("virtual_gateways.second", again),
        ("services.second", {"virtual_gateway": "second"}),
        (f"{BACKEND}.client_policy.tls.validation.trust.hierarchy", "colorteller-2"),
    )

    assert _mesh(*changes).trusted_by_peers("colorteller") == ("colorteller",)


@pytest.mark.parametrize(
    ("key", "value"), [("revocation", "none"), ("stale_lists", "fail_closed")], ids=["no lists", "another policy"]
)
def test_what_is_trusted_together_has_lists_together(key: str, value: str) -> None:
    """Envoy looks up every peer in lists, or none."""
    lists = {**COLOR["hierarchies"]["colorteller"], "revocation": "crl"}
    new, own = (NEW[0], {**lists, key: value}), (TELLERS, {**lists, "also_trust": ["colorteller-2"]})

    (fault,) = faults_of(changed(new, own))

    assert fault.place == f"{TELLERS}.also_trust[0]"
    assert "Give both the same" in fault.remedy
    assert not faults_of(changed((NEW[0], lists), own))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ((), Revocation.NONE),
        (((f"{TELLERS}.revocation", "crl"),), Revocation.FAIL_OPEN),
        (((f"{TELLERS}.revocation", "crl"), (f"{TELLERS}.stale_lists", "fail_closed")), Revocation.FAIL_CLOSED),
    ],
)
def test_the_settings_say_what_a_proxy_does_without_a_list(
    changes: tuple[tuple[str, object], ...], expected: Revocation
) -> None:
    """Nothing is looked up unless the file asks for it; then peers pass without a list unless it says otherwise."""
    settings = proxy_settings(_mesh(*changes), "colorgateway")

    assert settings.trust_bundles["colorteller"].revocation is expected
    assert type(settings).from_json(settings.to_json()) == settings
