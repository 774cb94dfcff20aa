"""``meshcert status`` of a mesh with federation: what was fetched of partners, and what they find of ours."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.bundles import document
from evidence.fixtures.pki import Hierarchy
from meshcert.errors import AccessDenied
from meshcert.federation.own_bundle import next_bundle
from meshcert.federation.ports import FetchNote, StoredBundle
from meshcert.mesh import load_mesh
from tests.meshcert.cli.cli_account import Terminal
from tests.meshcert.mesh.test_trust_domains import ENDPOINT, mesh_of
from tests.stacks.synthesis import ROOT

if TYPE_CHECKING:
    from meshcert.mesh import Mesh

PARTNER, FRIEND = "partner.example", "friend.example"
MESH = mesh_of(
    ("mesh.published_bundle", {"hierarchies": ["yelb"]}),
    ("trust_domains", {PARTNER: {"bundle_endpoint": ENDPOINT}, FRIEND: {"file": "friend.json"}}),
)
A, B = (Hierarchy(name=name).root_pem for name in ("a", "b"))


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """An operator's, with the mesh file at hand."""
    monkeypatch.setattr("meshcert.cli.options.ChosenMesh.declared", lambda _: MESH)
    return Terminal(capsys)


def _now(terminal: Terminal) -> dt.datetime:
    return terminal.world.clock.now()


def _note(now: dt.datetime, **changes: Any) -> FetchNote:
    early = now - dt.timedelta(seconds=120)
    return FetchNote(PARTNER, since=early, looked_at=early, fetched_at=early, sequence=7, version="v" * 64, **changes)


def _stored(now: dt.datetime, *later: str) -> StoredBundle:
    bundle = next_bundle(None, [A], 600, now - dt.timedelta(hours=1))
    if later:
        bundle = next_bundle(bundle, [A, *later], 600, now)
    return StoredBundle(bundle.document, bundle.notes(), "tag")


def test_partners_and_what_they_find_are_told(terminal: Terminal) -> None:
    """With what a person asks first: how old it is, its number, and until when a new root waits."""
    now = _now(terminal)
    terminal.breaks(fetches=lambda _: _note(now), own_bundle=lambda: _stored(now, B))

    told = " ".join(terminal.run("status").out.split())
    seen = terminal.run("status", "--json").document["bundles"]

    assert "partner.example version vvvvvvvv, sequence 7, fetched 2 minutes ago, asked every 5 minutes" in told
    assert "friend.example from the file friend.json, as deployed" in told
    assert "yelb.example (own) published: 2 roots" in told
    assert "newest root from" in told
    assert [each["trust_domain"] for each in seen["foreign"]] == [PARTNER, FRIEND]
    assert dt.datetime.fromisoformat(seen["own"]["usable_at"]) >= now + dt.timedelta(seconds=1800)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (None, "nobody has asked its endpoint yet"),
        ({"problem": "BundleWentBack"}, "the last look: BundleWentBack"),
        ({"problem": "BundleEndpointUnreachable"}, "the last look: BundleEndpointUnreachable"),
    ],
    ids=["never", "lies", "down"],
)
def test_what_is_wrong_with_a_partner_is_told(terminal: Terminal, note: dict[str, Any] | None, words: str) -> None:
    """The last good bundle beside it."""
    terminal.breaks(fetches=lambda _: None if note is None else _note(_now(terminal), **note))

    assert words in " ".join(terminal.run("status").out.split())


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (None, "it is not published yet"),
        (StoredBundle(b"<html>", {}, "tag"), "it is no bundle of ours"),
        (StoredBundle(document(A, sequence=5), {}, "tag"), "published: 0 roots, sequence 5"),
    ],
    ids=["nothing", "garbage", "without notes"],
)
def test_what_is_wrong_with_our_own_is_told(terminal: Terminal, stored: StoredBundle | None, words: str) -> None:
    """By what is there."""
    terminal.breaks(own_bundle=lambda: stored)

    assert words in " ".join(terminal.run("status").out.split())


def test_a_right_that_is_missing_hides_nothing_else(terminal: Terminal) -> None:
    """An operator role of before has none for bundles."""

    def denied(*_: Any) -> Any:
        raise AccessDenied("s3:GetObject", "bundle.json", "AccessDenied")

    terminal.breaks(fetches=denied, own_bundle=denied)
    ended = terminal.run("status")

    assert ended.code == 0
    assert ended.out.count("s3:GetObject") == 2


@pytest.mark.parametrize("mesh", [None, load_mesh(ROOT / "mesh.yaml")], ids=["no file", "no federation"])
def test_a_mesh_without_federation_has_no_word_of_it(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, mesh: Mesh | None
) -> None:
    """Nor has one without a mesh file at hand."""
    monkeypatch.setattr("meshcert.cli.options.ChosenMesh.declared", lambda _: mesh)

    assert "SPIFFE bundles" not in terminal.run("status").out
    assert terminal.run("status", "--json").document["bundles"] == {"foreign": [], "own": None}
