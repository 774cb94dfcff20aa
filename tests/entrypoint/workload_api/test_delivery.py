"""What of a task's secrets is offered to its application, and when."""

from __future__ import annotations

import datetime as dt
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest

from entrypoint.envoy.handover import EnvoyResource
from entrypoint.grpc.wire import fields
from entrypoint.judging.preflight import certificate_fields
from entrypoint.log import Log
from entrypoint.rotating.secret import SecretContent
from entrypoint.workload_api.delivery import DeliveredSecrets, SvidDelivery
from entrypoint.workload_api.settings import WorkloadApiSettings
from entrypoint.workload_api.store import SvidStore
from evidence.fixtures.pki import Hierarchy
from meshcert.envoy import identity_resource
from meshcert.errors import AwsUnavailable
from meshcert.material import EncryptedPrivateKey, Passphrase, join_certificates

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshcert.material import Material

FRONT, BACK = "spiffe://color.example/front", "spiffe://color.example/back"
DAY_S = 86_400.0


class Delivered:
    """A secret as the rotation leaves it."""

    def __init__(self, content: SecretContent) -> None:
        self.content: SecretContent | None = content
        self.unjudged = False


class Task:
    """A task with two identities of one hierarchy, and the application's side of it."""

    def __init__(self) -> None:
        self.hierarchy = Hierarchy(2)
        self.front, self.back = (Delivered(_content(self.hierarchy.issue([name]))) for name in (FRONT, BACK))
        self.trust = Delivered(_bundle(self.hierarchy))
        self.lines: list[bytes] = []
        self.days_ahead = 0
        self.fetches: list[Delivered] = []
        self.aws: Callable[[Delivered], object] = bool
        """What a fetch does to a secret of which only Envoy has all."""
        self.store = SvidStore()
        settings = WorkloadApiSettings(
            "/run/spiffe/workload.sock",
            frozenset({0}),
            "color.example",
            {"front": FRONT, "back": BACK},
            ("colorteller",),
        )
        self.foreign: dict[str, str] = {}
        secrets = DeliveredSecrets(
            {"front": self.front, "back": self.back}, (self.trust,), self._fetch, lambda: self.foreign
        )
        log = Log("debug", self.lines.append)
        self.delivery = SvidDelivery(settings, secrets, self.store, log, lambda: time.time() + self.days_ahead * DAY_S)

    def _fetch(self, secret: Delivered) -> None:
        self.fetches.append(secret)
        self.aws(secret)

    def offered(self) -> list[str]:
        """Look, and return the SPIFFE IDs that are offered then."""
        self.delivery.look()
        return [_first_of(svid, 1).decode() for number, svid in fields(self.store.svids) if number == 1]

    def leaves(self) -> list[int]:
        """Serial numbers of the leaves that are offered."""
        svids = [svid for number, svid in fields(self.store.svids) if number == 1]
        return [_serial(_first_of(svid, 2)) for svid in svids]

    def roots(self) -> bytes:
        """The bundle that is offered."""
        (entry,) = (entry for _, entry in fields(self.store.bundles))
        return _first_of(entry, 2)


def _first_of(message: Any, wanted: int) -> bytes:
    value = next(value for number, value in fields(message) if number == wanted)
    assert isinstance(value, bytes)
    return value


def _serial(chain: bytes) -> int:
    """Of the first certificate of several, DER."""
    length = 4 + int.from_bytes(chain[2:4], "big")
    return certificate_fields(ssl.DER_cert_to_PEM_cert(chain[:length])).serial


def _content(material: Material, *, complete: bool = True) -> SecretContent:
    body = identity_resource("identity/front", material)
    return SecretContent(
        EnvoyResource(material.version_id, body, complete), leaf=certificate_fields(material.certificate)
    )


def _bundle(*hierarchies: Hierarchy) -> SecretContent:
    roots = join_certificates(hierarchy.root_pem for hierarchy in hierarchies)
    return SecretContent(EnvoyResource("roots", {}), roots=roots)


@pytest.fixture
def task() -> Task:
    """A task whose Envoy has accepted everything."""
    return Task()


def test_every_identity_is_offered_in_the_order_of_the_settings(task: Task) -> None:
    """The first is the default; an unchanged look says nothing more."""
    assert task.offered() == [FRONT, BACK]
    before = task.store.svids
    task.delivery.look()

    assert task.store.svids is before
    assert len(task.lines) == 1


def test_a_version_is_offered_once_envoy_has_accepted_it(task: Task) -> None:
    """While the verdict is due, and if it is a refusal, the application keeps what Envoy serves."""
    task.delivery.look()
    first = task.leaves()
    newer = task.hierarchy.issue([FRONT])
    served, task.front.content, task.front.unjudged = task.front.content, _content(newer), True
    task.delivery.look()
    assert task.leaves() == first
    task.front.content, task.front.unjudged = served, False
    task.delivery.look()
    assert task.leaves() == first

    task.front.content = _content(newer)
    task.delivery.look()

    assert task.leaves() == [certificate_fields(newer.certificate).serial, first[1]]


def test_a_new_root_is_offered_with_both_messages(task: Task) -> None:
    """Each root once, in the bundle's order."""
    other = Hierarchy(1)
    task.delivery.look()
    before = task.store.svids
    task.trust.content = _bundle(task.hierarchy, other, task.hierarchy)
    task.delivery.look()

    both = [ssl.PEM_cert_to_DER_cert(hierarchy.root_pem.strip()) for hierarchy in (task.hierarchy, other)]
    assert task.roots() == b"".join(both)
    assert task.store.svids != before


def test_nothing_is_offered_until_everything_is_at_hand(task: Task) -> None:
    """A message without one of the identities would take that one away."""
    content, task.back.content = task.back.content, None

    assert task.offered() == []
    assert b"not at hand: back" in task.lines[-1]
    task.back.content = content
    assert task.offered() == [FRONT, BACK]


def test_what_only_envoy_has_is_fetched_again(task: Task) -> None:
    """At each look until it is there; AWS's trouble is told once."""
    whole = task.front.content
    assert whole
    task.front.content = whole._replace(envoy=whole.envoy._replace(complete=False))

    def fail(_: Delivered) -> None:
        raise AwsUnavailable("secretsmanager:GetSecretValue", "front", "broken")

    task.aws = fail
    assert [task.offered(), task.offered()] == [[], []]
    assert task.fetches == [task.front, task.front]
    assert len(task.lines) == 1

    def fetch(secret: Delivered) -> None:
        secret.content = whole

    task.aws = fetch
    assert task.offered() == [FRONT, BACK]


def test_an_identity_that_has_expired_is_not_offered_any_more(task: Task) -> None:
    """The others are; a new certificate brings it back."""
    task.front.content = _content(task.hierarchy.issue([FRONT], not_after=_in_days(2)))
    assert task.offered() == [FRONT, BACK]
    task.days_ahead = 3

    assert task.offered() == [BACK]
    assert b"front: it has expired" in task.lines[-1]
    task.front.content = _content(task.hierarchy.issue([FRONT]))
    assert task.offered() == [FRONT, BACK]


def _in_days(days: int) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(days=days)


@pytest.mark.parametrize(
    "spoilt",
    [{"passphrase": Passphrase("another")}, {"private_key": EncryptedPrivateKey("no key")}],
    ids=["passphrase", "key"],
)
def test_a_key_that_cannot_be_opened_leaves_the_last_good_one(task: Task, spoilt: dict[str, Any]) -> None:
    """The pre-flight has opened it, so nobody expects it; new roots go out all the same, and the log has no secret."""
    task.delivery.look()
    first = task.leaves()
    bad = task.hierarchy.issue([FRONT])._replace(**spoilt)
    task.front.content, task.trust.content = _content(bad), _bundle(task.hierarchy, Hierarchy(1))
    before = task.roots()
    task.delivery.look()

    assert task.leaves() == first
    assert task.roots().startswith(before)
    assert task.roots() != before
    assert b"KeyNotOpened" in task.lines[-1]
    assert bad.passphrase.reveal().encode() not in b"".join(task.lines)


def test_a_fault_of_ours_is_told_by_its_place_and_harms_nobody(task: Task) -> None:
    """Its values could be secret, and the rotation has to go on."""
    task.delivery.look()
    before = task.store.svids
    newer = _content(task.hierarchy.issue([FRONT]))
    task.front.content = newer._replace(envoy=EnvoyResource("other", {"tls_certificate": {"private_key": "hush"}}))
    task.delivery.look()

    assert task.store.svids is before
    assert b"internal fault: KeyError at " in task.lines[-1]
    assert b"hush" not in b"".join(task.lines)


def test_foreign_bundles_are_offered_beside_the_own_one(task: Task) -> None:
    """In both answers, each by the ID of its trust domain; one that admits nobody any more is gone."""
    partner, supplier = Hierarchy(1), Hierarchy(1)
    task.foreign = {"partner.example": partner.root_pem + supplier.root_pem, "supplier.example": supplier.root_pem}
    task.delivery.look()

    expected = {
        "spiffe://partner.example": _der(partner.root_pem) + _der(supplier.root_pem),
        "spiffe://supplier.example": _der(supplier.root_pem),
    }
    assert _entries(task.store.svids, 3) == expected
    assert _entries(task.store.bundles, 2) == {"spiffe://color.example": _der(task.hierarchy.root_pem), **expected}

    del task.foreign["partner.example"]
    task.delivery.look()

    assert set(_entries(task.store.svids, 3)) == {"spiffe://supplier.example"}


def test_without_an_identity_foreign_bundles_are_no_answer(task: Task) -> None:
    """Who asks for identities has to come again."""
    task.foreign = {"partner.example": Hierarchy(1).root_pem}
    task.delivery.look()
    task.days_ahead = 100_000
    task.delivery.look()

    assert task.store.svids == b""
    assert set(_entries(task.store.bundles, 2)) == {"spiffe://color.example", "spiffe://partner.example"}


def _entries(message: bytes, number: int) -> dict[str, bytes]:
    entries = [entry for found, entry in fields(message) if found == number]
    return {_first_of(entry, 1).decode(): _first_of(entry, 2) for entry in entries}


def _der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.strip())
