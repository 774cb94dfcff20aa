"""
While a deploy replaces tasks, those of two steps between plain text and mutual TLS stand side by side.

Each step of docs/from-app-mesh.md changes one end of a call: its old tasks and its new ones get on with the other end.
"""

from __future__ import annotations

from http.client import HTTPException
from typing import TYPE_CHECKING

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
