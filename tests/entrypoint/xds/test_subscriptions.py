"""Resources that are offered, what Envoy says of them, and what each client is sent when; secrets are the example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from entrypoint.grpc.framing import CallEnded, Status
from entrypoint.grpc.wire import field
from entrypoint.xds.resources import ResourceStatus, ResourceStore, VersionedResource
from entrypoint.xds.secrets import SECRETS
from entrypoint.xds.subscriptions import Delta, StateOfTheWorld, fetch
from meshcert.envoy.api import SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrypoint.xds.subscriptions import Subscription

TELLER, TRUST = "identity/colorteller", "trust/colorgateway"
ACKNOWLEDGED = ResourceStatus(acknowledged=True)


def _secret(version: str) -> VersionedResource:
    return VersionedResource(version, field(2, f"certificate and key of {version}"))


@pytest.fixture
def store() -> ResourceStore:
    """A store in which both of the teller's secrets are offered."""
    store = ResourceStore(SECRETS, [TRUST, TELLER])
    store.offer(TELLER, _secret("v1"))
    store.offer(TRUST, _secret("t1"))
    return store


class Client:
    """One stream, spoken with in generated messages."""

    def __init__(
        self, store: ResourceStore, kind: type[Subscription] = StateOfTheWorld, *, is_envoy: bool = True
    ) -> None:
        self.unknown: list[str] = []
        self.stream = kind(store, is_envoy=is_envoy, on_unknown=self.unknown.append)
        self._is_delta = kind is Delta

    def says(self, *names: str, **fields: Any) -> Any:
        """The answer to a request; None if there is none."""
        if self._is_delta:
            request = discovery_pb2.DeltaDiscoveryRequest(resource_names_subscribe=names, **fields)
        else:
            request = discovery_pb2.DiscoveryRequest(resource_names=names, **fields)
        return self._read(self.stream.receive(request.SerializeToString()))

    def takes(self, answer: Any, *names: str) -> Any:
        """The answer to an ACK."""
        return self.says(*names, response_nonce=answer.nonce)

    def refuses(self, answer: Any, *names: str, reason: str = "no") -> Any:
        """The answer to a NACK."""
        return self.says(*names, response_nonce=answer.nonce, error_detail={"message": reason})

    def update(self) -> Any:
        """The responses that are sent because the store has changed."""
        return self._read(self.stream.update())

    def _read(self, messages: list[bytes]) -> Any:
        kind = discovery_pb2.DeltaDiscoveryResponse if self._is_delta else discovery_pb2.DiscoveryResponse
        assert len(messages) < 2
        return kind.FromString(messages[0]) if messages else None


def _names(answer: Any) -> Sequence[str]:
    """Names in the secrets themselves, which Envoy compares with what it asked for."""
    found = []
    for resource in answer.resources:
        value = resource.value if hasattr(resource, "value") else resource.resource.value
        found.append(value[2 : 2 + value[1]].decode())
    return found


def test_a_client_is_sent_what_it_asks_for_and_then_only_what_changes(store: ResourceStore) -> None:
    """The VersionId is the version; an ACK is answered by nothing."""
    envoy = Client(store)

    first = envoy.says(TELLER)
    assert (first.version_info, first.type_url, _names(first)) == ("v1", SECRET, [TELLER])
    assert envoy.takes(first, TELLER) is None
    assert envoy.update() is None
    store.offer(TRUST, _secret("t2"))
    assert envoy.update() is None

    store.offer(TELLER, _secret("v2"))
    second = envoy.update()
    assert (second.version_info, second.nonce != first.nonce) == ("v2", True)
    assert envoy.update() is None


def test_an_ack_is_the_acceptance(store: ResourceStore) -> None:
    """Sending is not."""
    envoy = Client(store)
    answer = envoy.says(TELLER)
    assert store.status(TELLER, "v1") is store.status(TELLER) is None

    envoy.takes(answer, TELLER)

    assert store.status(TELLER, "v1") == store.status(TELLER) == ACKNOWLEDGED
    assert store.status(TRUST) is None
    store.offer(TELLER, _secret("v2"))
    assert store.status(TELLER, "v2") is None


def test_a_refused_version_is_taken_down_and_the_last_good_one_is_up_again(store: ResourceStore) -> None:
    """With Envoy's reason; the stream is not sent what it has, a new one is sent the good one."""
    envoy = Client(store)
    envoy.takes(envoy.says(TELLER), TELLER)
    store.offer(TELLER, _secret("v2"))

    assert envoy.refuses(envoy.update(), TELLER, reason="  KEY_VALUES\n_MISMATCH " + "x" * 999) is None

    status = store.status(TELLER, "v2")
    assert status
    assert not status.acknowledged
    assert status.reason.startswith("KEY_VALUES _MISMATCH xxx")
    assert len(status.reason) == 500
    assert envoy.update() is None
    assert store.offered(TELLER) == _secret("v1")
    assert Client(store).says(TELLER).version_info == "v1"
    store.offer(TELLER, _secret("v3"))
    envoy.takes(envoy.update(), TELLER)
    assert store.status(TELLER, "v3") == ACKNOWLEDGED


def test_a_first_version_that_is_refused_leaves_nothing_up(store: ResourceStore) -> None:
    """Envoy is not sent the same again and again."""
    envoy = Client(store)

    assert envoy.refuses(envoy.says(TELLER), TELLER) is None

    assert store.offered(TELLER) is None
    assert envoy.update() is None
    assert store.status(TELLER) == ResourceStatus(acknowledged=False, reason="no")


def test_only_envoys_word_counts(store: ResourceStore) -> None:
    """A person with a debugging client neither accepts nor refuses for it, nor is told the same for ever."""
    person = Client(store, is_envoy=False)
    answer = person.says(TELLER)
    store.offer(TELLER, _secret("v2"))

    newer = person.refuses(answer, TELLER)
    assert newer.version_info == "v2"
    assert person.takes(newer, TELLER) is None
    store.offer(TELLER, _secret("v3"))
    assert person.refuses(person.update(), TELLER) is None
    assert person.update() is None

    assert store.status(TELLER) is None
    assert store.offered(TELLER) == _secret("v3")


def test_new_content_under_the_same_version_is_sent_and_judged_anew(store: ResourceStore) -> None:
    """A trust bundle with newer revocation lists has the VersionId it had."""
    envoy = Client(store)
    envoy.takes(envoy.says(TRUST), TRUST)

    store.offer(TRUST, VersionedResource("t1", field(4, "with newer lists")))

    assert store.status(TRUST, "t1") is None
    envoy.takes(envoy.update(), TRUST)
    assert store.status(TRUST, "t1") == ACKNOWLEDGED


def test_a_word_on_an_older_answer_counts_but_asks_for_nothing(store: ResourceStore) -> None:
    """It was written before the last answer arrived (xDS protocol: a stale request)."""
    envoy = Client(store)
    first = envoy.says(TELLER)
    store.offer(TELLER, _secret("v2"))
    second = envoy.update()

    assert envoy.takes(first, TELLER) is None
    assert store.status(TELLER, "v2") is None
    envoy.refuses(second, TELLER)

    assert store.offered(TELLER) == _secret("v1")
    assert envoy.says(TRUST, response_nonce=first.nonce) is None
    store.offer(TRUST, _secret("t2"))
    assert envoy.update() is None


def test_a_secret_that_comes_later_is_waited_for() -> None:
    """The stream is open before the first secret is fetched."""
    empty = ResourceStore(SECRETS, [TELLER])
    envoy = Client(empty)
    assert envoy.says(TELLER) is None
    rung = []
    empty.on_change(lambda: rung.append(1))

    empty.offer(TELLER, _secret("v1"))

    assert rung == [1]
    assert envoy.update().version_info == "v1"


@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_no_names_at_first_are_all_names(store: ResourceStore, kind: type[Subscription]) -> None:
    """This stays so when the answer is acknowledged without names."""
    everything = Client(store, kind)

    answer = everything.says()
    assert sorted(_names(answer)) == [TELLER, TRUST]
    assert everything.takes(answer) is None
    store.offer(TRUST, _secret("t2"))

    assert everything.update()
    assert [store.status(name) for name in (TELLER, TRUST)] == [ACKNOWLEDGED] * 2


def test_a_plain_name_is_answered_where_it_is_the_only_one(store: ResourceStore) -> None:
    """SPIRE's agent uses such names; the secret is sent under the name that was asked for."""
    envoy = Client(store)

    answer = envoy.says("colorteller")

    assert (_names(answer), answer.version_info) == (["colorteller"], "v1")
    envoy.takes(answer, "colorteller")
    assert store.status(TELLER, "v1") == ACKNOWLEDGED


@pytest.mark.parametrize("asked", ["both", "ledger", "identity/", "", "identity/a/b", "*", "trust/colorteller"])
@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_a_name_that_is_none_or_two_gets_nothing(asked: str, kind: type[Subscription]) -> None:
    """The name is logged."""
    store = ResourceStore(SECRETS, ["identity/both", "trust/both", TELLER])
    client = Client(store, kind)

    assert client.says(asked) is None

    assert client.unknown == ([] if (asked, kind) == ("*", Delta) else [asked])


def test_versions_of_several_secrets_are_one(store: ResourceStore) -> None:
    """It changes with each of them."""
    client = Client(store)
    answer = client.says(TELLER, TRUST)
    client.takes(answer, TELLER, TRUST)
    store.offer(TRUST, _secret("t2"))

    newer = client.update()

    assert sorted(_names(newer)) == [TELLER, TRUST]
    assert newer.version_info not in {answer.version_info, "v1", "t2"}


def test_names_may_change_on_the_way(store: ResourceStore) -> None:
    """A resource that is no longer named is no longer sent."""
    client = Client(store)
    answer = client.says(TELLER)

    other = client.says(TRUST, response_nonce=answer.nonce)

    assert _names(other) == [TRUST]
    store.offer(TELLER, _secret("v2"))
    assert client.update() is None


def test_delta_sends_only_what_changed_and_forgets_who_unsubscribes(store: ResourceStore) -> None:
    """Each with its own version; who subscribes again is sent it again."""
    client = Client(store, Delta)
    answer = client.says(TELLER, TRUST)
    assert {resource.name: resource.version for resource in answer.resources} == {TELLER: "v1", TRUST: "t1"}
    client.takes(answer)
    store.offer(TELLER, _secret("v2"))

    changed = client.update()
    assert [resource.name for resource in changed.resources] == [TELLER]
    client.refuses(changed)
    assert store.offered(TELLER) == _secret("v1")
    assert client.update() is None

    assert client.says(resource_names_unsubscribe=[TRUST]) is None
    store.offer(TRUST, _secret("t2"))
    assert client.update() is None
    assert [resource.version for resource in client.says(TRUST).resources] == ["t2"]
    assert [resource.version for resource in client.says(TRUST).resources] == ["t2"]


@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_a_client_that_has_said_everything_is_let_go(store: ResourceStore, kind: type[Subscription]) -> None:
    """It could not acknowledge anything more."""
    with pytest.raises(CallEnded) as end:
        Client(store, kind).stream.half_close()

    assert end.value.status is Status.OK


def test_fetching_answers_once(store: ResourceStore) -> None:
    """All that is asked for, or that it is not there yet."""
    unknown: list[str] = []
    request = discovery_pb2.DiscoveryRequest(resource_names=[TELLER, "nobody"]).SerializeToString()

    answer = discovery_pb2.DiscoveryResponse.FromString(fetch(store, unknown.append, request))

    assert (_names(answer), answer.version_info, unknown) == ([TELLER], "v1", ["nobody"])
    store.withdraw(TELLER)
    with pytest.raises(CallEnded) as refusal:
        fetch(store, unknown.append, request)
    assert refusal.value.status is Status.UNAVAILABLE


@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_other_resources_than_secrets_are_refused(store: ResourceStore, kind: type[Subscription]) -> None:
    """This is not a control plane."""
    with pytest.raises(CallEnded) as refusal:
        Client(store, kind).says(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster")

    assert refusal.value.status is Status.INVALID_ARGUMENT


def test_a_client_that_never_answers_is_not_remembered_for_ever(store: ResourceStore) -> None:
    """This holds however often a secret changes."""
    client = Client(store)
    answers = [client.says(TELLER)]

    for number in range(100):
        store.offer(TELLER, _secret(f"v{number + 2}"))
        answers.append(client.update())

    client.takes(answers[-17], TELLER)
    assert store.status(TELLER) is None
    client.takes(answers[-16], TELLER)
    assert store.status(TELLER) == ACKNOWLEDGED


def test_nothing_secret_shows_in_a_representation() -> None:
    """If one is logged by mistake, only a version appears."""
    assert repr(_secret("v1")) == "<VersionedResource v1>"
