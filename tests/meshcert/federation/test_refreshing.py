"""One run after the other over bundle endpoints: what is published, and what keeps the last good bundle."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from evidence.fixtures.bundles import document
from evidence.fixtures.pki import Hierarchy
from evidence.simulation.vault import InMemoryVault
from meshcert import naming
from meshcert.contract.staging_labels import CURRENT
from meshcert.errors import (
    AwsUnavailable,
    BundleContradicted,
    BundleEndpointUnreachable,
    BundleInvalid,
    BundleWentBack,
    MeshcertError,
    PublicationRaced,
)
from meshcert.federation.endpoints import DeclaredEndpoint, read_endpoints, write_endpoints
from meshcert.federation.refreshing import EVERY_S, EndpointResult, FederationPorts, Refreshed, refresh
from meshcert.material.foreign_bundle import LONGEST_HINT_S, ForeignBundle
from tests.meshcert.publishing.fakes import FakeClock

if TYPE_CHECKING:
    from meshcert.federation.ports import FetchNote

PARTNER, FRIEND = "partner.example", "friend.example"
SECRET = naming.foreign_bundle_secret("yelb", PARTNER)
ENDPOINT = DeclaredEndpoint(PARTNER, "https://partner.example/bundle.json?a=b")
OLD, NEW = Hierarchy(name="old").root_pem, Hierarchy(name="new").root_pem


@dataclass
class World:
    """A mesh with one partner, whose secret a deploy has made."""

    answers: dict[str, bytes | MeshcertError] = field(default_factory=dict)
    notes: dict[str, FetchNote] = field(default_factory=dict)
    vault: InMemoryVault = field(default_factory=InMemoryVault)
    clock: FakeClock = field(default_factory=FakeClock)
    asked: list[str] = field(default_factory=list)
    mesh: str = "yelb"

    def __post_init__(self) -> None:
        for domain in (PARTNER, FRIEND):
            self.vault.seed(naming.foreign_bundle_secret("yelb", domain))
            self.deploy(ForeignBundle(domain))

    def deploy(self, bundle: ForeignBundle) -> None:
        """Publish as the deploy function does."""
        secret, version = naming.foreign_bundle_secret("yelb", bundle.trust_domain), bundle.version_id
        current = self.vault.current_value(secret).version_id
        self.vault.put_pending(secret, version, bundle.dumps())
        self.vault.move_label(secret, CURRENT, to=version, away_from=current)

    def fetch(self, endpoint: DeclaredEndpoint) -> bytes:
        """See :class:`meshcert.federation.ports.BundleEndpoints`."""
        self.asked.append(endpoint.trust_domain)
        answer = self.answers[endpoint.trust_domain]
        if isinstance(answer, MeshcertError):
            raise answer
        return answer

    def find(self, trust_domain: str) -> FetchNote | None:
        """See :class:`meshcert.federation.ports.FetchNotes`."""
        return self.notes.get(trust_domain)

    def write(self, note: FetchNote) -> None:
        """See :class:`meshcert.federation.ports.FetchNotes`."""
        self.notes[note.trust_domain] = note

    def run(self, answer: bytes | MeshcertError | None = None, *, after_s: float = 0) -> EndpointResult:
        """One run, so much later, in which the partner's endpoint answers so from now on."""
        self.clock.sleep(after_s)
        if answer is not None:
            self.answers[PARTNER] = answer
        (result,) = self.all_of(ENDPOINT)
        return result

    def all_of(self, *endpoints: DeclaredEndpoint) -> list[EndpointResult]:
        """One run over these endpoints."""
        ports = FederationPorts("yelb", self, self.vault, self.vault, self, self.clock)
        return refresh(endpoints, ports)

    @property
    def believed(self) -> ForeignBundle:
        """What a proxy reads."""
        return ForeignBundle.loads(self.vault.current_value(SECRET).value, SECRET)


def test_a_partners_first_bundle_is_published() -> None:
    """Until then nobody of it was let in."""
    world = World()
    assert world.believed.certificates == ""

    result = world.run(document(OLD, sequence=3, hint=600))

    assert result.refreshed is Refreshed.PUBLISHED
    assert world.believed == (PARTNER, OLD, 3, 600)


def test_an_endpoint_is_asked_at_its_refresh_hint_and_not_before() -> None:
    """A tick comes every five minutes."""
    world = World()
    world.run(document(OLD, hint=2 * EVERY_S))

    assert world.run(after_s=EVERY_S).refreshed is Refreshed.NOT_DUE
    assert world.run(after_s=EVERY_S - 2).refreshed is Refreshed.UNCHANGED
    assert world.asked == [PARTNER, PARTNER]


def test_a_changed_bundle_is_published_once() -> None:
    """A partner's new root stands beside the old one, and takes its place later."""
    world = World()
    outcomes = [
        world.run(document(*roots, sequence=number, hint=EVERY_S), after_s=EVERY_S).refreshed
        for number, roots in enumerate([(OLD,), (OLD, NEW), (OLD, NEW), (NEW,)])
    ]

    assert outcomes == [Refreshed.PUBLISHED, Refreshed.PUBLISHED, Refreshed.UNCHANGED, Refreshed.PUBLISHED]
    assert world.believed.certificates == NEW


def test_a_number_that_grows_without_a_change_makes_no_version() -> None:
    """A secret has room for so many a day; the number is remembered, and may not go back."""
    world = World()
    world.run(document(OLD, sequence=1, hint=EVERY_S))
    version = world.vault.current_value(SECRET).version_id

    world.run(document(OLD, sequence=50, hint=EVERY_S), after_s=EVERY_S)
    back = world.run(document(NEW, sequence=49, hint=EVERY_S), after_s=EVERY_S)

    assert world.vault.current_value(SECRET).version_id == version
    assert isinstance(back.error, BundleWentBack)


def test_a_partner_that_withdraws_everything_is_believed() -> None:
    """An empty bundle closes its edges."""
    world = World()
    world.run(document(OLD, sequence=1, hint=EVERY_S))

    assert world.run(document(sequence=2), after_s=EVERY_S).refreshed is Refreshed.PUBLISHED
    assert world.believed.certificates == ""


FAILURES: dict[str, tuple[Any, type[MeshcertError]]] = {
    "down": (BundleEndpointUnreachable(*ENDPOINT, "timed out"), BundleEndpointUnreachable),
    "garbage": (b"<html>", BundleInvalid),
    "older": (document(NEW, sequence=4), BundleWentBack),
    "without-number": (document(NEW, sequence=None), BundleWentBack),
    "same-number": (document(NEW, sequence=5), BundleContradicted),
}


@pytest.mark.parametrize(("answer", "error"), FAILURES.values(), ids=FAILURES)
def test_whatever_an_endpoint_does_the_last_good_bundle_is_believed_on(
    answer: bytes | MeshcertError, error: type[MeshcertError]
) -> None:
    """The error has its own name; the next look comes at the hint, and heals it."""
    world = World()
    world.run(document(OLD, sequence=5, hint=600))

    result = world.run(answer, after_s=600)

    assert (result.refreshed, type(result.error)) == (Refreshed.FAILED, error)
    assert world.believed == (PARTNER, OLD, 5, 600)
    assert result.is_refused == (error is not BundleEndpointUnreachable)
    assert world.run(after_s=300).is_refused == result.is_refused, "it is told until the next look"
    assert world.run(document(NEW, sequence=6, hint=600), after_s=300).refreshed is Refreshed.PUBLISHED
    assert not world.run(after_s=300).is_refused


def test_hints_without_a_bundle_are_counted() -> None:
    """Also of an endpoint that never answered, from the first look."""
    world = World()
    down = BundleEndpointUnreachable(*ENDPOINT, "timed out")
    for _ in range(4):
        never = world.run(down, after_s=EVERY_S)
    assert never.note.hints_without(world.clock.now()) == 3

    world.run(document(OLD, hint=600), after_s=EVERY_S)
    late = world.run(down, after_s=1200)

    assert late.note.hints_without(world.clock.now()) == 2


def test_one_endpoint_that_fails_keeps_no_other_from_being_read() -> None:
    """Each is a look of its own."""
    world = World()
    world.answers = {PARTNER: b"garbage", FRIEND: document(NEW)}

    results = world.all_of(ENDPOINT, DeclaredEndpoint(FRIEND, "https://friend.example/"))

    assert [each.refreshed for each in results] == [Refreshed.FAILED, Refreshed.PUBLISHED]


def test_what_nobody_has_foreseen_about_one_partner_keeps_no_other_from_being_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it happens; it has a name of its own, and heals like any other failure."""
    friend = DeclaredEndpoint(FRIEND, "https://friend.example/")

    def unforeseen(subject: Any, *_: Any) -> Any:
        if PARTNER in str(subject):
            raise ZeroDivisionError
        return original(subject, *_)

    for owner, name in (("vault", "labels"), ("", "fetch"), ("vault", "put_pending")):
        world = World(answers={PARTNER: document(OLD), FRIEND: document(NEW)})
        place: Any = getattr(world, owner) if owner else world
        original = getattr(place, name)
        with monkeypatch.context() as failing:
            failing.setattr(place, name, unforeseen)
            partner, other = world.all_of(ENDPOINT, friend)

        assert (str(partner.note.problem), other.refreshed) == ("BundleLookFailed", Refreshed.PUBLISHED), name
        assert world.run(after_s=EVERY_S).refreshed is Refreshed.PUBLISHED


def test_a_note_that_is_lost_keeps_no_other_from_being_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run fails, which is told and tried again, after the last of them."""
    world = World(answers={PARTNER: document(OLD), FRIEND: document(NEW)})
    write = world.write

    def failing(note: FetchNote) -> None:
        if note.trust_domain == PARTNER:
            raise AwsUnavailable("dynamodb:PutItem", PARTNER, "ThrottlingException")
        write(note)

    monkeypatch.setattr(world, "write", failing)

    with pytest.raises(AwsUnavailable):
        world.all_of(ENDPOINT, DeclaredEndpoint(FRIEND, "https://friend.example/"))
    assert set(world.notes) == {FRIEND}


def test_a_deploy_that_publishes_meanwhile_is_not_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The label moves on from the version that was seen before the endpoint was asked, or not at all."""
    world = World()
    fetch = world.fetch

    def raced(endpoint: DeclaredEndpoint) -> bytes:
        world.deploy(ForeignBundle(PARTNER, NEW))
        return fetch(endpoint)

    monkeypatch.setattr(world, "fetch", raced)

    result = world.run(document(OLD))

    assert isinstance(result.error, PublicationRaced)
    assert world.believed.certificates == NEW


def test_after_a_file_was_deployed_a_partner_may_begin_anew() -> None:
    """It is how people allow a smaller number."""
    world = World()
    world.run(document(OLD, sequence=90, hint=EVERY_S))
    assert isinstance(world.run(document(NEW, sequence=1, hint=EVERY_S), after_s=EVERY_S).error, BundleWentBack)

    world.deploy(ForeignBundle(PARTNER, NEW, 1))

    assert world.run(after_s=EVERY_S).error is None
    assert world.run(document(NEW, OLD, sequence=2), after_s=EVERY_S).refreshed is Refreshed.PUBLISHED


def test_a_secret_that_cannot_be_read_is_written_anew() -> None:
    """No proxy can read it either."""
    world = World()
    version = world.vault.current_value(SECRET).version_id
    world.vault.secrets[SECRET].values[version] = "spoiled"

    assert world.run(document(OLD)).refreshed is Refreshed.PUBLISHED
    assert world.believed.certificates == OLD


def test_when_aws_fails_the_look_comes_again_at_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is believed that was not published."""
    world = World()

    def unavailable(*_: Any) -> None:
        raise AwsUnavailable("secretsmanager:PutSecretValue", SECRET, "ThrottlingException")

    with monkeypatch.context() as failing:
        failing.setattr(world.vault, "put_pending", unavailable)
        assert isinstance(world.run(document(OLD)).error, AwsUnavailable)

    assert world.run(after_s=EVERY_S).refreshed is Refreshed.PUBLISHED


def test_a_hint_of_years_is_a_day() -> None:
    """Else one bundle could keep its next one from being read."""
    world = World()
    world.run(document(OLD, hint=10**9))

    assert world.run(document(NEW, sequence=2), after_s=LONGEST_HINT_S).refreshed is Refreshed.PUBLISHED


def test_endpoints_are_read_back_from_the_environment() -> None:
    """A query has equals signs, too."""
    endpoints = (ENDPOINT, DeclaredEndpoint(FRIEND, "https://friend.example/"))

    assert read_endpoints(write_endpoints(endpoints)) == endpoints
    assert read_endpoints("") == ()


def test_a_mesh_without_endpoints_asks_nobody() -> None:
    """It has no such function, and an empty environment would do no harm."""
    assert World().all_of() == []


def test_the_time_between_two_looks_is_that_of_the_first() -> None:
    """A failure does not bring the next look nearer: the standard asks to wait for the next poll."""
    world = World()
    world.run(document(OLD, hint=600))
    world.run(BundleEndpointUnreachable(*ENDPOINT, "timed out"), after_s=600)

    assert world.run(after_s=300).refreshed is Refreshed.NOT_DUE
    assert world.notes[PARTNER].looked_at == world.clock.now() - dt.timedelta(seconds=300)
