"""A gateway and a node whose certificates and trust bundles change under way; for tests, benchmark and soak."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, nullcontext, redirect_stdout, suppress
from enum import StrEnum
from io import StringIO
from itertools import cycle
from typing import TYPE_CHECKING, Self

from local.load.processes import Application
from meshcert.material import TrustBundle, join_certificates
from tests.envoy.canary_search import leaks_of
from tests.envoy.cloud_map import CloudMap
from tests.envoy.container import Container, eventually, request, serial_number
from tests.envoy.every_protocol import HTTP_PORT, gateway_settings, node_settings
from tests.envoy.observed_proxy import ObservedProxy
from tests.pki import Hierarchy
from tests.proxies import GATEWAY_NAME, GATEWAY_SECRET, GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, TELLER_TRUST
from tests.secrets_api import SecretsApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from meshcert.proxy import Delivery, ProxySettings
    from tests.envoy.observed_proxy import Footprint
    from tests.pki import KeyAlgorithm

POLL_INTERVAL_S = 0.07
CONNECTION_DURATION_S = 5.0
"""Kept connections end after this and are made anew, so that they too meet every new certificate."""
TAKEN_OVER_WITHIN_S = 15.0
_LOOK_EVERY_S = 0.01
_APPLICATION_PORT = 8080


class Kind(StrEnum):
    """
    What is changed, on both ends.

    A rotation is one version of one secret, taken over by one Envoy; a change has several of them.
    """

    LEAF = "leaf"
    """The leaf alone."""
    ALGORITHM = "algorithm"
    """The leaf, from ECDSA to RSA or back."""
    BUNDLE = "bundle"
    """The CA, in three steps: trust the new root too, change the leaves, trust the old root no longer."""

    @property
    def rotations(self) -> int:
        """How many rotations it takes."""
        return 6 if self is Kind.BUNDLE else 2


def changes(rotations: int, *kinds: Kind) -> list[Kind]:
    """Changes that take at least so many rotations: these kinds in turn."""
    result: list[Kind] = []
    for kind in cycle(kinds):
        if sum(each.rotations for each in result) >= rotations:
            break
        result.append(kind)
    return result


class RotatedMesh:
    """
    Both proxies, run by the entrypoint from the laid-out image, an application, AWS's wire and DNS; a context.

    Args:
        folder: For the containers' folders; on a tmpfs if there is one.
        image: From :func:`tests.envoy.container.lay_out_image`.
        delivery: How both Envoys get their secrets.
    """

    def __init__(self, folder: Path, image: Path, delivery: Delivery) -> None:
        self._folder = folder
        self._image = image
        self._durations = {
            "delivery": delivery,
            "poll_interval_s": POLL_INTERVAL_S,
            "max_connection_duration_s": CONNECTION_DURATION_S,
        }
        self._addresses = _loopback_addresses()
        self._gateways, self._tellers = Hierarchy(1, name="colorgateway"), Hierarchy(2, name="colorteller")
        self._algorithm: KeyAlgorithm = "EC_prime256v1"
        self._api = SecretsApi(next(self._addresses))
        self._open: ExitStack
        self.node: ObservedProxy
        self.gateway: ObservedProxy
        self.rotations = 0
        """How often an Envoy has taken a new version over."""

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self._api)
            cloud_map = opening.enter_context(CloudMap(next(self._addresses)))
            self._publish_trust(self._tellers, self._gateways)
            self._api.publish(TELLER_SECRET, self._tellers.issue([TELLER_NAME]))
            self._api.publish(GATEWAY_SECRET, self._gateways.issue([GATEWAY_NAME]))
            self.node = self._start(opening, "node", node_settings(**self._durations))
            address = self.node.container.address
            application = opening.enter_context(Application(address, _APPLICATION_PORT))
            cloud_map.records[TELLER_NAME] = [address]
            self.gateway = self._start(
                opening, "gateway", gateway_settings(**self._durations), MESHCERT_DNS_RESOLVER=cloud_map.resolver
            )
            for end in self._ends:
                end.container.wait_until_healthy()
            application.wait_until_ready()
            eventually(self._answers, "a first answer")
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            assert [leak for end in self._ends for leak in leaks_of(end.container, self._api)] == []
        finally:
            # A container writes its log to the standard output when it ends: thousands of lines, which only a fault
            # needs.
            with redirect_stdout(StringIO()) if error is None else nullcontext():
                self._open.__exit__(kind, error, trace)

    @property
    def served_after_ms(self) -> list[float]:
        """From installed to served as the entrypoints' logs say, milliseconds, one for each version."""
        return [took for end in self._ends for took in end.served_after_ms]

    @property
    def troubles(self) -> list[str]:
        """Lines of the logs that a rotation in good order does not have."""
        for end in self._ends:
            end.listen()
        return [trouble for end in self._ends for trouble in end.troubles]

    def change(self, kind: Kind, settle: Callable[[], object]) -> None:
        """
        One change of both ends, carried through.

        Args:
            kind: What to change.
            settle: Returns when everything is over that began before. A CA is dropped only then: else a handshake that
                began with an old leaf could end after nobody trusts it any more.

        Raises:
            AssertionError: If a version is not served in time.
        """
        match kind:
            case Kind.LEAF:
                self._change_leaves()
            case Kind.ALGORITHM:
                self._algorithm = "RSA_2048" if self._algorithm == "EC_prime256v1" else "EC_prime256v1"
                self._change_leaves()
            case Kind.BUNDLE:
                old = self._tellers, self._gateways
                self._tellers, self._gateways = Hierarchy(2, name="colorteller"), Hierarchy(1, name="colorgateway")
                self._change_trust(self._tellers, self._gateways, *old)
                self._change_leaves()
                settle()
                self._change_trust(self._tellers, self._gateways)

    def footprints(self) -> dict[str, Footprint]:
        """What each process holds, by names like ``node envoy``; connections for requests left out."""
        return {process: held for end in self._ends for process, held in end.footprints().items()}

    def counters(self, *names: str) -> dict[str, int]:
        """Envoy's counters, each the sum over both ends of all whose name ends with this; without those that are 0."""
        found: dict[str, int] = {}
        for end in self._ends:
            for name in names:
                values = (int(value) for stat, value in end.container.stats(name).items() if stat.endswith(name))
                if moved := sum(values):
                    found[name] = found.get(name, 0) + moved
        return found

    @property
    def _ends(self) -> tuple[ObservedProxy, ObservedProxy]:
        return self.gateway, self.node

    def _answers(self) -> bool:
        with suppress(OSError):
            return request(self.gateway.container.address, HTTP_PORT, "/http1/first")[0] == 200
        return False

    def _start(self, opening: ExitStack, name: str, settings: ProxySettings, **environment: str) -> ObservedProxy:
        folder = self._folder / name
        container = Container(
            self._image, folder, next(self._addresses), settings, {**self._api.environment, **environment}
        )
        return ObservedProxy(name, opening.enter_context(container), folder / "log")

    def _change_leaves(self) -> None:
        leaves = {
            self.node: self._tellers.issue([TELLER_NAME], key_algorithm=self._algorithm),
            self.gateway: self._gateways.issue([GATEWAY_NAME], key_algorithm=self._algorithm),
        }
        self._api.publish(TELLER_SECRET, leaves[self.node])
        self._api.publish(GATEWAY_SECRET, leaves[self.gateway])
        self._wait_for({end: material.version_id for end, material in leaves.items()})
        for end, material in leaves.items():
            eventually(
                lambda end=end, material=material: end.container.served_serial_numbers() == {serial_number(material)},  # type: ignore[misc]  # defaults mypy cannot infer
                f"{end.name} presents the new certificate",
            )

    def _change_trust(self, *hierarchies: Hierarchy) -> None:
        tellers, gateways = self._publish_trust(*hierarchies)
        self._wait_for({self.gateway: tellers, self.node: gateways})

    def _publish_trust(self, *hierarchies: Hierarchy) -> tuple[str, str]:
        """Publish these roots as both trust bundles; the versions of the tellers' and the gateways'."""
        tellers, gateways = (
            TrustBundle(join_certificates(one.root_pem for one in hierarchies if one.name == name))
            for name in ("colorteller", "colorgateway")
        )
        self._api.publish_trust_bundle(TELLER_TRUST, tellers)
        self._api.publish_trust_bundle(GATEWAY_TRUST, gateways)
        return tellers.version_id, gateways.version_id

    def _wait_for(self, versions: dict[ObservedProxy, str]) -> None:
        deadline = time.monotonic() + TAKEN_OVER_WITHIN_S
        while late := [end for end, version in versions.items() if version not in end.rotated]:
            if time.monotonic() > deadline:
                names = ", ".join(end.name for end in late)
                raise AssertionError(f"a version was not taken over by {names}: {self.troubles[-3:]}")
            time.sleep(_LOOK_EVERY_S)
            for end in late:
                end.listen()
        self.rotations += len(versions)


def _loopback_addresses() -> Iterator[str]:
    """Addresses of a network drawn at random."""
    source = random.Random()  # noqa: S311 -- an address is no secret
    network = f"127.{source.randrange(64, 254)}.{source.randrange(1, 254)}"
    return (f"{network}.{number}" for number in range(1, 255))
