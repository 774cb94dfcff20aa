"""The story of an event that never comes: ACM has renewed, nobody is told, and the sweep heals it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from local.demo.result import Result
from local.demo.scene import ANSWER, GATEWAY, TELLER, Scene
from local.gateway_client import SteadyClient
from local.running_mesh import wait_until
from local.ticking import Ticking, dispatch

_UNNOTICED_S = 5.0


@dataclass(frozen=True)
class LostEventResult(Result):
    """
    What the story has measured; ``build/demo-lost-event.json`` is this, as JSON.

    Args:
        failed: Requests through the gateway that failed, over the whole story.
        requests: Requests altogether.
        twice: How many of them came to the application more than once; they have failed too.
        lost: Events that were thrown away.
        stale_before: Whether, before the sweep, the version in use really was behind ACM's.
        healed_s: From the sweep to every Envoy serving the renewed certificates, seconds.
        old_serial: The teller's certificate before, hex.
        new_serial: The teller's certificate after, hex, as its Envoy serves it.
    """

    failed: int
    requests: int
    twice: int
    lost: int
    stale_before: bool
    healed_s: float
    old_serial: str
    new_serial: str

    @property
    def claims(self) -> dict[str, tuple[bool, str]]:
        """Each thing the story says: whether it was seen, and the figures."""
        return {
            "ACM renews, every event about it is lost, and nobody notices": (
                self.lost > 0 and self.stale_before,
                f"{self.lost} events lost",
            ),
            "the next sweep heals it": (self.new_serial not in {"", self.old_serial}, f"{self.healed_s:.1f} s"),
            "no request fails": (
                self.failed == 0 and self.requests > 0,
                f"{self.requests} requests, {self.failed} failed",
            ),
        }


class LostEventStory(Scene):
    """No event arrives; the sweep comes within the hour."""

    TITLE = "meshcert demo: an event is lost, and the sweep heals it"

    def play(self) -> LostEventResult:
        """Play all of it; raises when a step does not get through."""
        self.stand_up()
        names = [GATEWAY, TELLER]
        with self.stage.step("Both identities settle after the deploy"):
            for name in names:
                self.proven(name)
        old = {name: self.running.serial(name) for name in names}
        versions = {name: self.running.current_version(name) for name in names}
        with SteadyClient(self.gateway(), ANSWER, self.aws.requests_seen) as asking, Ticking(self.aws, self.mesh.name):
            with self.stage.step("ACM renews, and every event about it is lost"):
                modes = [{"source": source, "mode": "lost"} for source in ("aws.acm", "aws.health")]
                self.aws.control("PUT", "/_local/events/modes", modes)
                self.acm_renews()
                for name in names:
                    wait_until(lambda name=name: self.running.serial(name) != old[name], "ACM's renewal", within_s=30)  # type: ignore[misc]  # mypy cannot infer the lambda's default
                noticed_by = time.monotonic() + _UNNOTICED_S
                wait_until(lambda: time.monotonic() > noticed_by, "some time without a word", within_s=2 * _UNNOTICED_S)
                stale = all(self.running.current_version(name) == versions[name] for name in names)
                lost = self.aws.control("GET", "/_local/events/modes")["counts"].get("lost", 0)
            with self.stage.step("The hourly sweep comes: exported, published, served"):
                watches = {name: self.watch(name, versions[name]) for name in names}
                began = time.monotonic()
                for watch in watches.values():
                    watch.start()
                dispatch(self.aws, self.mesh.name, "sweep")
                for watch in watches.values():
                    watch.join()
                healed_s = time.monotonic() - began
        self.say_what_failed(asking)
        return LostEventResult(
            failed=len(asking.failures),
            requests=asking.requests,
            twice=asking.twice,
            lost=int(lost),
            stale_before=stale,
            healed_s=round(healed_s, 2),
            old_serial=old[TELLER],
            new_serial=watches[TELLER].serial,
        )
