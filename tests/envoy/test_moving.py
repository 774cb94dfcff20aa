"""
While a deploy replaces tasks, those of two steps between plain text and mutual TLS stand side by side.

Each step of docs/from-app-mesh.md changes one end of a call: its old tasks and its new ones get on with the other end.
"""

from __future__ import annotations

import threading
from http.client import HTTPException
from typing import TYPE_CHECKING, Self

from evidence.fixtures.cloud_map import CloudMap
from evidence.fixtures.container import eventually, request
from evidence.fixtures.proxies import PORT, TELLER_NAME, gateway, teller
from meshcert.proxy import ListenerTls, Route, TlsMode
from meshcert.san import Dns
from tests.envoy.two_ends import publish_both

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.container import Container
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.proxy import ProxySettings
    from tests.envoy.conftest import Start

OK, UNAVAILABLE = 200, 503


def _callee(mode: TlsMode) -> ProxySettings:
    (listener,) = teller().listeners
    tls = ListenerTls(mode) if mode is TlsMode.DISABLED else listener.tls._replace(mode=mode)
    return teller(listeners=(listener._replace(tls=tls),))


def _caller(*, has_policy: bool) -> ProxySettings:
    """A gateway that leads ``/STRICT`` to the callee of that mode, and so on."""
    (backend,) = gateway().backends
    assert backend.tls
    policy = backend.tls._replace(subject_alternative_names=(Dns(TELLER_NAME),)) if has_policy else None
    backends = tuple(backend._replace(name=mode, host=f"{mode.lower()}.local", tls=policy) for mode in TlsMode)
    return gateway(backends=backends, routes=tuple(Route(f"/{mode}", mode) for mode in TlsMode))


def _answers_in_plain_text(container: Container) -> bool:
    try:
        return request(container.address, PORT)[0] == OK
    except (HTTPException, OSError):
        return False


def test_old_tasks_and_new_ones_get_on_at_every_step_and_not_if_one_is_left_out(
    start: Start, api: SecretsApi, new_address: Callable[[], str]
) -> None:
    """Two steps in one deploy meet: a policy before the callee is PERMISSIVE, and STRICT before there is a policy."""
    publish_both(api)
    with CloudMap(new_address()) as cloud_map:
        callees = {mode: start(_callee(mode)) for mode in TlsMode}
        for mode, callee in callees.items():
            start.application(callee)
            cloud_map.records[f"{mode.lower()}.local"] = [callee.address]
        callers = {
            has_policy: start(_caller(has_policy=has_policy), MESHCERT_DNS_RESOLVER=cloud_map.resolver)
            for has_policy in (False, True)
        }
        for container in (*callees.values(), *callers.values()):
            container.wait_until_healthy()
        for caller in callers.values():
            eventually(lambda caller=caller: request(caller.address, PORT, "/PERMISSIVE")[0] == OK, "a first answer")  # type: ignore[misc]  # a default mypy cannot infer

        answers = {
            (has_policy, mode): request(caller.address, PORT, f"/{mode}")[0]
            for has_policy, caller in callers.items()
            for mode in TlsMode
        }

    assert answers == {
        (False, TlsMode.DISABLED): OK,  # step 1
        (False, TlsMode.PERMISSIVE): OK,  # step 2
        (True, TlsMode.PERMISSIVE): OK,  # step 3
        (True, TlsMode.STRICT): OK,  # step 5
        (True, TlsMode.DISABLED): UNAVAILABLE,
        (False, TlsMode.STRICT): UNAVAILABLE,
    }
    assert {mode for mode, callee in callees.items() if _answers_in_plain_text(callee)} == {
        TlsMode.DISABLED,
        TlsMode.PERMISSIVE,
    }


class Pair:
    """
    A caller and a callee whose tasks are replaced as a deploy replaces them, while a client asks all the time.

    Args:
        start: Starts tasks.
        cloud_map: Tells callers where the callee is.
    """

    def __init__(self, start: Start, cloud_map: CloudMap) -> None:
        self._start, self._cloud_map = start, cloud_map
        self.callee = self._new_callee(TlsMode.STRICT)
        cloud_map.records[TELLER_NAME] = [self.callee.address]
        self.caller = self._new_caller(has_policy=True)
        self.failed: list[str] = []
        self.answered = 0
        self._ended = threading.Event()
        self._asking = threading.Thread(target=self._ask)

    def __enter__(self) -> Self:
        self._asking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._asking.join()

    def deploy_callee(self, mode: TlsMode) -> None:
        """The new task is found beside the old one, then alone; then the old one is told to stop."""
        old, self.callee = self.callee, self._new_callee(mode)
        for addresses in ([old.address, self.callee.address], [self.callee.address]):
            self._cloud_map.records[TELLER_NAME] = addresses
            eventually(lambda wanted={*addresses}: self._known() == wanted, f"{addresses} found")  # type: ignore[misc]  # a default mypy cannot infer
        self._end(old)

    def deploy_caller(self, *, has_policy: bool) -> None:
        """Clients ask the new task; then the old one is told to stop."""
        old, self.caller = self.caller, self._new_caller(has_policy=has_policy)
        self._end(old)

    def counted(self) -> tuple[int, int]:
        """Requests over TLS and in plain text, as the callee's Envoy counts them, after ten further answers."""
        until = self.answered + 10
        eventually(lambda: self.answered >= until, "further answers")
        found = self.callee.stats("downstream_rq_total")
        tls, plain = (int(found.get(f"http.ingress_{PORT}_{way}.downstream_rq_total", 0)) for way in ("tls", "plain"))
        return tls, plain

    def _new_callee(self, mode: TlsMode) -> Container:
        callee = self._start(_callee(mode), MESHCERT_DRAIN_S="2")
        self._start.application(callee)
        callee.wait_until_healthy()
        return callee

    def _new_caller(self, *, has_policy: bool) -> Container:
        (backend,) = gateway().backends
        settings = gateway(backends=(backend if has_policy else backend._replace(tls=None),))
        caller = self._start(settings, MESHCERT_DRAIN_S="2", MESHCERT_DNS_RESOLVER=self._cloud_map.resolver)
        caller.wait_until_healthy()
        eventually(lambda: request(caller.address, PORT)[0] == OK, "a first answer")
        return caller

    def _known(self) -> set[str]:
        """The callee's tasks that the caller knows."""
        told = (line.split("::") for line in self.caller.admin("/clusters")[1].splitlines())
        own = (parts[1] for parts in told if parts[0] == "colorteller")
        return {address.removesuffix(f":{PORT}") for address in own if address.endswith(f":{PORT}")}

    def _end(self, old: Container) -> None:
        old.terminate()
        assert old.exit_code() == 0

    def _ask(self) -> None:
        while not self._ended.wait(0.05):
            try:
                status, text = request(self.caller.address, PORT)
            except (HTTPException, OSError) as error:
                status, text = 0, repr(error)
            if status == OK:
                self.answered += 1
            else:
                self.failed.append(f"{status} {text[:80]}")


def test_one_pair_leaves_tls_and_comes_back_under_load_and_no_request_fails(
    start: Start, api: SecretsApi, new_address: Callable[[], str]
) -> None:
    """The runbook's four deploys (docs/operating.md): the callee first on the way out, and last on the way back."""
    publish_both(api)
    with CloudMap(new_address()) as cloud_map, Pair(start, cloud_map) as pair:
        pair.deploy_callee(TlsMode.PERMISSIVE)
        tls, plain = pair.counted()
        assert tls > 0
        assert plain == 0
        pair.deploy_caller(has_policy=False)
        assert pair.counted()[1] > 0

        pair.deploy_caller(has_policy=True)
        (tls, plain), (tls_later, plain_later) = pair.counted(), pair.counted()
        assert tls_later > tls
        assert plain_later == plain
        pair.deploy_callee(TlsMode.STRICT)
        pair.counted()
        with_strict = pair.answered

    assert pair.failed == []
    assert with_strict > 40
