"""A container whose watcher and Envoy are killed at random moments, in the middle of rotations, and what it serves."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tests.envoy.canary_search import leaks_of
from tests.envoy.container import Container, eventually, serial_number
from tests.pki import Hierarchy
from tests.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from tests.secrets_api import SecretsApi

if TYPE_CHECKING:
    from pathlib import Path

    from meshcert.material import Material
    from meshcert.proxy import Delivery

POLL_S = 0.1
KILLED = 128 + signal.SIGKILL
VICTIMS = ("watcher", "envoy")


class KilledContainer:
    """
    A teller that is killed again and again; use it as a context.

    Args:
        image: From :func:`tests.envoy.container.lay_out_image`.
        folder: For its files; it keeps its material folder when it is restarted, as a task does.
        address: Loopback address of its listeners, and of its AWS.
        delivery: How its Envoy gets secrets.
        seed: Of victims and moments.
    """

    def __init__(self, image: Path, folder: Path, address: str, delivery: Delivery, seed: int) -> None:
        self._image = image
        self._folder = folder
        self._address = address
        self._settings = teller(poll_interval_s=POLL_S, delivery=delivery)
        self._random = random.Random(seed)  # noqa: S311 -- moments, not secrets
        self._hierarchy = Hierarchy(1)
        self._open = ExitStack()
        self._starts = 0
        self._dead: set[int] = set()
        self._api: SecretsApi
        self._container: Container
        self._current: Material

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            self._api = opening.enter_context(SecretsApi(self._address))
            self._api.publish_trust_bundle(GATEWAY_TRUST, self._hierarchy.trust_bundle)
            self._publish()
            self._open = opening.pop_all()
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._open:
            self._end_container()

    def kill(self) -> str:
        """
        Publish, kill one of the two at a random moment of the rotation, and see it through.

        Returns:
            Who was killed.

        Raises:
            AssertionError: If anything but the last two versions was served, the container ended otherwise than with
                its Envoy's code, or the new version was not served in the end.
        """
        victim, before = self._random.choice(VICTIMS), self._current
        process = eventually(lambda: self._alive(victim), f"a {victim}")
        self._publish()
        time.sleep(self._random.uniform(0, 2 * POLL_S))  # the moment is what is tried
        os.kill(process, signal.SIGKILL)
        self._dead.add(process)
        if victim == "envoy":
            code = self._container.exit_code()
            assert code == KILLED, f"Envoy was killed, the container ended with {code}"
            self._end_container()
            self._start()
        else:
            eventually(lambda: self._serves_the_new(before), "the new version after the watcher's death")
        return victim

    def _alive(self, name: str) -> int:
        """Its process; 0 while there is none but the one that was killed last."""
        process = self._container.children().get(name, 0)
        return 0 if process in self._dead else process

    def _serves_the_new(self, before: Material) -> bool:
        served = self._container.served_serial_numbers()
        good = {serial_number(before), serial_number(self._current)}
        assert len(served) == 1, f"served: {served}"
        assert served <= good, "it serves what is neither the last good version nor the new one"
        return served == {serial_number(self._current)}

    def _publish(self) -> None:
        self._current = self._hierarchy.issue([TELLER_NAME])
        self._api.publish(TELLER_SECRET, self._current)

    def _end_container(self) -> None:
        """Whatever befell it, it has shown no secret."""
        try:
            assert leaks_of(self._container, self._api) == []
        finally:
            self._container.__exit__(None, None, None)

    def _start(self) -> None:
        self._starts += 1
        material_dir = self._folder / "run"
        environment = {**self._api.environment, "MESHCERT_MATERIAL_DIR": str(material_dir)}
        own = self._folder / f"start-{self._starts}"
        self._container = Container(self._image, own, self._address, self._settings, environment)
        material_dir.mkdir(mode=0o700, exist_ok=True)
        self._container.material_dir = material_dir
        self._container.__enter__()
        self._container.wait_until_healthy()
        assert self._container.serves(self._current)
