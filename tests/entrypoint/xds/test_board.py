"""Secrets that are put up, what Envoy says of them, and what each client is sent when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from envoy.service.discovery.v3 import discovery_pb2

from entrypoint.envoy.handover import Verdict
from entrypoint.grpc.framing import CallRefused, Status
from entrypoint.grpc.wire import field
from entrypoint.xds.board import Board, Offer
from entrypoint.xds.subscriptions import Delta, StateOfTheWorld, fetch
from meshcert.envoy.api import SECRET

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrypoint.xds.subscriptions import Subscription

TELLER, TRUST = "identity/colorteller", "trust/colorgateway"


def _offer(version: str) -> Offer:
    return Offer(version, field(2, f"certificate and key of {version}"))


@pytest.fixture
def board() -> Board:
    """A teller's, both secrets up."""
    board = Board([TRUST, TELLER])
    board.put_up(TELLER, _offer("v1"))
    board.put_up(TRUST, _offer("t1"))
    return board


class Client:
    """One stream, spoken with in generated messages."""

    def __init__(self, board: Board, kind: type[Subscription] = StateOfTheWorld, *, is_envoy: bool = True) -> None:
        self.unknown: list[str] = []
        self.stream = kind(board, is_envoy=is_envoy, on_unknown=self.unknown.append)
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

    def news(self) -> Any:
        """What it is sent because the board has changed."""
        return self._read(self.stream.news())

    def _read(self, message: bytes | None) -> Any:
        kind = discovery_pb2.DeltaDiscoveryResponse if self._is_delta else discovery_pb2.DiscoveryResponse
        return None if message is None else kind.FromString(message)


def _names(answer: Any) -> Sequence[str]:
    """Names in the secrets themselves, which Envoy compares with what it asked for."""
    found = []
    for resource in answer.resources:
        value = resource.value if hasattr(resource, "value") else resource.resource.value
        found.append(value[2 : 2 + value[1]].decode())
    return found


def test_a_client_is_sent_what_it_asks_for_and_then_only_what_changes(board: Board) -> None:
    """The VersionId is the version; an ACK is answered by nothing."""
    envoy = Client(board)

    first = envoy.says(TELLER)
    assert (first.version_info, first.type_url, _names(first)) == ("v1", SECRET, [TELLER])
    assert envoy.takes(first, TELLER) is None
    assert envoy.news() is None
    board.put_up(TRUST, _offer("t2"))
    assert envoy.news() is None

    board.put_up(TELLER, _offer("v2"))
    second = envoy.news()
    assert (second.version_info, second.nonce != first.nonce) == ("v2", True)
    assert envoy.news() is None


def test_an_ack_is_the_acceptance(board: Board) -> None:
    """Not the sending."""
    envoy = Client(board)
    answer = envoy.says(TELLER)
    assert board.word(TELLER, "v1") is board.word(TELLER) is None

    envoy.takes(answer, TELLER)

    assert board.word(TELLER, "v1") == board.word(TELLER) == Verdict(accepted=True)
    assert board.word(TRUST) is None
    board.put_up(TELLER, _offer("v2"))
    assert board.word(TELLER, "v2") is None


def test_a_refused_version_is_taken_down_and_the_last_good_one_is_up_again(board: Board) -> None:
    """With Envoy's reason; the stream is not sent what it has, a new one is sent the good one."""
    envoy = Client(board)
    envoy.takes(envoy.says(TELLER), TELLER)
    board.put_up(TELLER, _offer("v2"))

    assert envoy.refuses(envoy.news(), TELLER, reason="  KEY_VALUES\n_MISMATCH " + "x" * 999) is None

    word = board.word(TELLER, "v2")
    assert word
    assert not word.accepted
    assert word.reason.startswith("KEY_VALUES _MISMATCH xxx")
    assert len(word.reason) == 500
    assert envoy.news() is None
    assert board.up(TELLER) == _offer("v1")
    assert Client(board).says(TELLER).version_info == "v1"
    board.put_up(TELLER, _offer("v3"))
    envoy.takes(envoy.news(), TELLER)
    assert board.word(TELLER, "v3") == Verdict(accepted=True)


def test_a_first_version_that_is_refused_leaves_nothing_up(board: Board) -> None:
    """Envoy is not sent the same again and again."""
    envoy = Client(board)

    assert envoy.refuses(envoy.says(TELLER), TELLER) is None

    assert board.up(TELLER) is None
    assert envoy.news() is None
    assert board.word(TELLER) == Verdict(accepted=False, reason="no")


def test_only_envoys_word_counts(board: Board) -> None:
    """A person with a debugging client neither accepts nor refuses for it, nor is told the same for ever."""
    person = Client(board, is_envoy=False)
    answer = person.says(TELLER)
    board.put_up(TELLER, _offer("v2"))

    newer = person.refuses(answer, TELLER)
    assert newer.version_info == "v2"
    assert person.takes(newer, TELLER) is None
    board.put_up(TELLER, _offer("v3"))
    assert person.refuses(person.news(), TELLER) is None
    assert person.news() is None

    assert board.word(TELLER) is None
    assert board.up(TELLER) == _offer("v3")


def test_new_content_under_the_same_version_is_sent_and_judged_anew(board: Board) -> None:
    """A trust bundle with newer revocation lists has the VersionId it had."""
    envoy = Client(board)
    envoy.takes(envoy.says(TRUST), TRUST)

    board.put_up(TRUST, Offer("t1", field(4, "with newer lists")))

    assert board.word(TRUST, "t1") is None
    envoy.takes(envoy.news(), TRUST)
    assert board.word(TRUST, "t1") == Verdict(accepted=True)


def test_a_word_on_an_older_answer_counts_but_asks_for_nothing(board: Board) -> None:
    """It was written before the last answer arrived (xDS protocol: a stale request)."""
    envoy = Client(board)
    first = envoy.says(TELLER)
    board.put_up(TELLER, _offer("v2"))
    second = envoy.news()

    assert envoy.takes(first, TELLER) is None
    assert board.word(TELLER, "v2") is None
    envoy.refuses(second, TELLER)

    assert board.up(TELLER) == _offer("v1")
    assert envoy.says(TRUST, response_nonce=first.nonce) is None
    board.put_up(TRUST, _offer("t2"))
    assert envoy.news() is None


def test_a_secret_that_comes_later_is_waited_for() -> None:
    """The stream is open before the first secret is fetched."""
    empty = Board([TELLER])
    envoy = Client(empty)
    assert envoy.says(TELLER) is None
    rung = []
    empty.on_news(lambda: rung.append(1))

    empty.put_up(TELLER, _offer("v1"))

    assert rung == [1]
    assert envoy.news().version_info == "v1"


@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_no_names_at_first_are_all_names(board: Board, kind: type[Subscription]) -> None:
    """And stay so when the answer is acknowledged without names."""
    everything = Client(board, kind)

    answer = everything.says()
    assert sorted(_names(answer)) == [TELLER, TRUST]
    assert everything.takes(answer) is None
    board.put_up(TRUST, _offer("t2"))

    assert everything.news()
    assert [board.word(name) for name in (TELLER, TRUST)] == [Verdict(accepted=True)] * 2


def test_a_plain_name_is_answered_where_it_is_the_only_one(board: Board) -> None:
    """As SPIRE's agent names secrets; under the name that was asked for."""
    envoy = Client(board)

    answer = envoy.says("colorteller")

    assert (_names(answer), answer.version_info) == (["colorteller"], "v1")
    envoy.takes(answer, "colorteller")
    assert board.word(TELLER, "v1") == Verdict(accepted=True)


@pytest.mark.parametrize("asked", ["both", "ledger", "identity/", "", "identity/a/b", "*", "trust/colorteller"])
@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_a_name_that_is_none_or_two_gets_nothing(asked: str, kind: type[Subscription]) -> None:
    """It is told to the log."""
    board = Board(["identity/both", "trust/both", TELLER])
    client = Client(board, kind)

    assert client.says(asked) is None

    assert client.unknown == ([] if (asked, kind) == ("*", Delta) else [asked])


def test_versions_of_several_secrets_are_one(board: Board) -> None:
    """It changes with each of them."""
    client = Client(board)
    answer = client.says(TELLER, TRUST)
    client.takes(answer, TELLER, TRUST)
    board.put_up(TRUST, _offer("t2"))

    newer = client.news()

    assert sorted(_names(newer)) == [TELLER, TRUST]
    assert newer.version_info not in {answer.version_info, "v1", "t2"}


def test_names_may_change_on_the_way(board: Board) -> None:
    """What is no longer named is no longer sent."""
    client = Client(board)
    answer = client.says(TELLER)

    other = client.says(TRUST, response_nonce=answer.nonce)

    assert _names(other) == [TRUST]
    board.put_up(TELLER, _offer("v2"))
    assert client.news() is None


def test_delta_sends_only_what_changed_and_forgets_who_unsubscribes(board: Board) -> None:
    """Each with its own version; who subscribes again is sent it again."""
    client = Client(board, Delta)
    answer = client.says(TELLER, TRUST)
    assert {resource.name: resource.version for resource in answer.resources} == {TELLER: "v1", TRUST: "t1"}
    client.takes(answer)
    board.put_up(TELLER, _offer("v2"))

    changed = client.news()
    assert [resource.name for resource in changed.resources] == [TELLER]
    client.refuses(changed)
    assert board.up(TELLER) == _offer("v1")
    assert client.news() is None

    assert client.says(resource_names_unsubscribe=[TRUST]) is None
    board.put_up(TRUST, _offer("t2"))
    assert client.news() is None
    assert [resource.version for resource in client.says(TRUST).resources] == ["t2"]
    assert [resource.version for resource in client.says(TRUST).resources] == ["t2"]


def test_fetching_answers_once(board: Board) -> None:
    """All that is asked for, or that it is not there yet."""
    unknown: list[str] = []
    request = discovery_pb2.DiscoveryRequest(resource_names=[TELLER, "nobody"]).SerializeToString()

    answer = discovery_pb2.DiscoveryResponse.FromString(fetch(board, request, unknown.append))

    assert (_names(answer), answer.version_info, unknown) == ([TELLER], "v1", ["nobody"])
    board.take_down(TELLER)
    with pytest.raises(CallRefused) as refusal:
        fetch(board, request, unknown.append)
    assert refusal.value.status is Status.UNAVAILABLE


@pytest.mark.parametrize("kind", [StateOfTheWorld, Delta])
def test_other_resources_than_secrets_are_refused(board: Board, kind: type[Subscription]) -> None:
    """This is no control plane."""
    with pytest.raises(CallRefused) as refusal:
        Client(board, kind).says(type_url="type.googleapis.com/envoy.config.cluster.v3.Cluster")

    assert refusal.value.status is Status.INVALID_ARGUMENT


def test_a_client_that_never_answers_is_not_remembered_for_ever(board: Board) -> None:
    """However often a secret changes."""
    client = Client(board)
    client.says(TELLER)

    for number in range(100):
        board.put_up(TELLER, _offer(f"v{number + 2}"))
        assert client.news()

    assert len(client.stream._sent) == 16


def test_nothing_secret_shows_in_a_representation() -> None:
    """What passes through the log's hands by mistake is a version."""
    assert repr(_offer("v1")) == "<Offer v1>"
