"""This mesh's own bundle: what is in it, how its number grows, and when a new root of it can be used."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.bundles import jwk
from evidence.fixtures.pki import Hierarchy
from evidence.simulation.vault import InMemoryVault
from meshcert import naming
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import AwsUnavailable, BundleInvalid, SecretNotPublished
from meshcert.federation.bundle_document import read_bundle
from meshcert.federation.own_bundle import HINTS, OwnBundle, key_of, next_bundle, read_own_bundle
from meshcert.federation.own_publication import OwnOutcome, OwnPublication, publish_own_bundle
from meshcert.federation.ports import StoredBundle
from meshcert.material import TrustBundle
from meshcert.material.document import write_trust_bundle
from meshcert.material.foreign_bundle import MOST_CERTIFICATES
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from evidence.fixtures.pki import KeyAlgorithm

DOMAIN = "yelb.example"
A, B, C = (Hierarchy(name=name).root_pem for name in ("a", "b", "c"))
T0 = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HINT = 600
WAIT = dt.timedelta(seconds=HINTS * HINT)


def _at(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize("algorithm", ["EC_prime256v1", "EC_secp384r1", "RSA_2048"])
def test_a_root_stands_in_it_as_the_standard_has_it(algorithm: KeyAlgorithm) -> None:
    """As RFC 7517 and 7518 have a key, by a writer of the test's own; and our own reader takes it without a remark."""
    root = Hierarchy(key=algorithm, name="root").root_pem

    bundle = next_bundle(None, [root], HINT, T0)

    value = json.loads(bundle.document)
    assert value == {"keys": [jwk(root)], "spiffe_sequence": int(T0.timestamp()), "spiffe_refresh_hint": HINT}
    read = read_bundle(bundle.document, DOMAIN, T0)
    assert (read.bundle.certificates, read.bundle.sequence, read.bundle.refresh_hint_s) == (root, bundle.sequence, HINT)
    assert read.remarks == ()


def test_the_same_roots_are_no_other_bundle() -> None:
    """Whatever their order, and however much later."""
    first = next_bundle(None, [A, B, A], HINT, T0)

    assert next_bundle(first, [B, A], HINT, _at(1e6)) is first


@dataclass(frozen=True)
class Step:
    """
    A bundle that is to follow, so many seconds after T0.

    Args:
        usable: Seconds after T0 from which each root can be used.
    """

    at: float
    roots: tuple[str, ...]
    usable: dict[str, float]
    hint: int = HINT


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Step(0, (A, B), {A: 0, B: 0})], id="the first one's roots can be used at once"),
        pytest.param([Step(0, (A,), {A: 0}), Step(10, (A, B), {A: 0, B: 1810})], id="a new root waits for three hints"),
        pytest.param(
            [Step(0, (A,), {A: 0}), Step(10, (A, B), {A: 0, B: 1810}), Step(20, (A, B, C), {A: 0, B: 1810, C: 1820})],
            id="another new root does not prolong the wait of the one before",
        ),
        pytest.param(
            [
                Step(0, (A,), {A: 0}),
                Step(10, (A, B), {A: 0, B: 1810}),
                Step(20, (A,), {A: 0}),
                Step(30, (A, B), {A: 0, B: 1830}),
            ],
            id="a root that went and comes back is a new one",
        ),
        pytest.param(
            [Step(0, (A,), {A: 0}, hint=3600), Step(10, (A, B), {A: 0, B: 10810}, hint=300)],
            id="a partner still goes by the longer hint of before",
        ),
        pytest.param(
            [
                Step(0, (A,), {A: 0}, hint=3600),
                Step(10, (A,), {A: 0}, hint=300),
                Step(400, (A, B), {A: 0, B: 10810}, hint=300),
            ],
            id="also where the hint was made shorter first",
        ),
        pytest.param(
            [Step(0, (A,), {A: 0}, hint=300), Step(10, (A, B), {A: 0, B: 10810}, hint=3600)],
            id="three of the hints that it is published with",
        ),
        pytest.param([Step(0, (A,), {A: 0}), Step(99_999, (B,), {B: 101_799})], id="also instead of the old one"),
    ],
)
def test_a_new_root_can_be_used_once_every_partner_had_three_hints_to_fetch_it(steps: list[Step]) -> None:
    """And each step's number is higher, also after what is remembered went to S3 and back."""
    bundle: OwnBundle | None = None
    for step in steps:
        before, bundle = bundle, next_bundle(bundle, step.roots, step.hint, _at(step.at))

        assert bundle.usable == {key_of(root): _at(seconds) for root, seconds in step.usable.items()}
        assert before is None or bundle.sequence > before.sequence
        assert read_own_bundle(bundle.document, bundle.notes(), DOMAIN, T0) == bundle


def test_a_root_with_another_certificate_on_its_key_is_no_new_one() -> None:
    """A CA's certificate is issued anew: what hangs under its key is believed by the old one as well."""
    hierarchy = Hierarchy(name="root")
    first = next_bundle(None, [hierarchy.root_pem], HINT, T0)

    hierarchy.reissue_root()
    second = next_bundle(first, [hierarchy.root_pem], HINT, _at(10))

    assert second.usable == first.usable
    assert second.sequence > first.sequence


@pytest.mark.parametrize(
    ("sequence", "at", "expected"),
    [(None, 0, 0), (None, 5, 5), (0, 5, 5), (5, 5, 6), (100, 5, 101)],
    ids=["first", "later", "older", "within a second", "the clock went back"],
)
def test_the_number_is_the_time_or_one_more_than_before(sequence: int | None, at: float, expected: int) -> None:
    """So it grows even where the bundle before was lost."""
    start = int(T0.timestamp())
    before = None if sequence is None else replace(next_bundle(None, [A], HINT, T0), sequence=start + sequence)

    assert next_bundle(before, [B], HINT, _at(at)).sequence == start + expected


def test_more_roots_than_a_partner_believes_are_refused() -> None:
    """Before anything is written."""
    roots = [Hierarchy(name=str(number)).root_pem for number in range(MOST_CERTIFICATES + 1)]

    assert len(next_bundle(None, roots[1:], HINT, T0).notes()["usable"]) < 2000 - len("settled") * 3
    with pytest.raises(BundleInvalid, match=f"{MOST_CERTIFICATES + 1} roots"):
        next_bundle(None, roots, HINT, T0)


@dataclass
class World:
    """A mesh that publishes its bundle."""

    stored: StoredBundle | None = None
    vault: InMemoryVault = field(default_factory=InMemoryVault)
    clock: FakeClock = field(default_factory=lambda: FakeClock(T0))
    meanwhile: StoredBundle | None = None

    def __post_init__(self) -> None:
        for hierarchy in ("yelb", "other"):
            self.vault.seed(naming.trust_bundle_secret("yelb", hierarchy))

    def trust(self, *roots: str, hierarchy: str = "yelb") -> None:
        """Publish a trust bundle as a deploy does."""
        secret = naming.trust_bundle_secret("yelb", hierarchy)
        bundle = TrustBundle("".join(roots))
        current = self.vault.current_value(secret).version_id
        self.vault.put_pending(secret, bundle.version_id, write_trust_bundle(bundle))
        self.vault.move_label(secret, CURRENT, to=bundle.version_id, away_from=current)

    def find(self) -> StoredBundle | None:
        """See :class:`meshcert.federation.ports.BundleObject`."""
        found = self.stored
        self.stored = self.meanwhile or found
        return found

    def write(self, bundle: OwnBundle, *, replaces: StoredBundle | None) -> None:
        """See :class:`meshcert.federation.ports.BundleObject`."""
        if self.stored != replaces:
            raise AwsUnavailable("s3:PutObject", "bucket/bundle.json", "PreconditionFailed", without_effect=True)
        self.stored = StoredBundle(bundle.document, bundle.notes(), str(bundle.sequence))

    def run(self, *hierarchies: str) -> OwnOutcome:
        """One run."""
        own = OwnPublication("yelb", DOMAIN, hierarchies or ("yelb",), HINT, self.vault, self, self.clock)
        return publish_own_bundle(own)[0]

    @property
    def published(self) -> dict[str, Any]:
        """What partners find."""
        assert self.stored
        value: dict[str, Any] = json.loads(self.stored.document)
        return value


def test_partners_find_the_roots_that_proxies_read() -> None:
    """Of the hierarchies that the mesh file lists, with those that are trusted together with them."""
    world = World()
    world.trust(A, B)
    world.trust(C, hierarchy="other")

    assert world.run() is OwnOutcome.PUBLISHED
    assert world.published["keys"] == [jwk(root) for root in sorted((A, B))]
    assert world.run() is OwnOutcome.UNCHANGED

    assert world.run("yelb", "other") is OwnOutcome.PUBLISHED
    assert len(world.published["keys"]) == 3


def test_nothing_is_published_before_a_trust_bundle_is() -> None:
    """An empty bundle would have partners let nobody in."""
    world = World()

    with pytest.raises(SecretNotPublished):
        world.run()
    assert world.stored is None


@pytest.mark.parametrize("spoiled", [b"<html>", b'{"keys": []}', b"{}"], ids=["garbage", "emptied", "no keys"])
def test_whatever_else_is_there_is_replaced(spoiled: bytes) -> None:
    """Its roots count as new ones: nobody knows what partners have seen."""
    world = World(stored=StoredBundle(spoiled, {}, "tag"))
    world.trust(A)

    assert world.run() is OwnOutcome.PUBLISHED
    assert world.stored
    bundle = read_own_bundle(world.stored.document, world.stored.notes, DOMAIN, T0)
    assert bundle.usable == {key_of(A): T0 + WAIT}


@pytest.mark.parametrize(
    "notes",
    [
        {},
        {"usable": "= a=b c", "settled": "x"},
        {"usable": f"{'a' * 32}=1e9 {'b' * 32}={9**99}", "settled": str(9**99)},
    ],
    ids=["none", "garbage", "huge"],
)
def test_a_root_without_a_note_counts_as_a_new_one(notes: dict[str, str]) -> None:
    """Whatever stands there: a root is used later than it could be, and never earlier."""
    before = next_bundle(None, [A], HINT, T0)
    read = read_own_bundle(before.document, notes, DOMAIN, T0)

    assert read.usable == {}
    assert next_bundle(read, [A, B], HINT, T0).usable == {key_of(root): T0 + WAIT for root in (A, B)}


def test_a_bundle_that_was_deleted_comes_back_with_a_higher_number() -> None:
    """No partner sees an older number, or another content under the same one."""
    world = World()
    world.trust(A)
    world.run()
    before = world.published["spiffe_sequence"]
    world.stored = None
    world.clock.sleep(300)

    assert world.run() is OwnOutcome.PUBLISHED
    assert world.published["spiffe_sequence"] > before


def test_of_two_runs_at_once_one_writes() -> None:
    """Whoever comes second writes over nothing: the next run sees to it."""
    world = World(meanwhile=StoredBundle(b"by another run", {}, "tag"))
    world.trust(A)

    with pytest.raises(AwsUnavailable):
        world.run()
    assert world.stored == world.meanwhile
