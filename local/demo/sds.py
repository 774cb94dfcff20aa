"""The demo's own story with ``delivery: sds``: every secret goes to its Envoy over a Unix socket."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar

from local.cdk import ROOT
from local.demo.result import DemoResult
from local.demo.scene import GATEWAY, TELLER
from local.demo.story import Story

SDS = ROOT / "examples" / "color" / "sds.yaml"
SECRETS_EACH = 2


@dataclass(frozen=True)
class SdsResult(DemoResult):
    """
    What the story has measured; ``build/demo-sds.json`` is this, as JSON.

    Args:
        over_socket: Secrets that each service's Envoy has, by service.
        from_files: How many of its secrets each Envoy would read from a file, by service.
    """

    over_socket: dict[str, int]
    from_files: dict[str, int]

    @property
    def claims(self) -> dict[str, tuple[bool, str]]:
        """Each thing the story says: whether it was seen, and the figures."""
        counted = ", ".join(f"{service} {count}" for service, count in self.over_socket.items())
        sockets_only = not any(self.from_files.values())
        return {
            **super().claims,
            "every Envoy has its secrets over the socket, none from a file": (
                sockets_only and all(count == SECRETS_EACH for count in self.over_socket.values()),
                f"secrets: {counted}",
            ),
        }


class SdsStory(Story):
    """The same mesh, one word changed for each service."""

    TITLE = "meshcert demo: the same, and no key touches a file"
    MESH: ClassVar = SDS

    def play(self) -> SdsResult:
        """Play all of it; raises when a step does not get through."""
        result = super().play()
        tasks = {service: self.running.task(service) for service in (GATEWAY, TELLER)}
        active = "/config_dump?resource=dynamic_active_secrets"
        return SdsResult(
            **{part.name: getattr(result, part.name) for part in fields(result)},
            over_socket={service: len(task.admin(active).json()["configs"]) for service, task in tasks.items()},
            from_files={
                service: secrets_from_files(task.admin("/config_dump").json()) for service, task in tasks.items()
            },
        )


def secrets_from_files(configuration: object) -> int:
    """
    How many secrets an Envoy would read from a file.

    Other things come from files all the same: the listeners that wait for the application, for example.

    Args:
        configuration: Any part of what ``/config_dump`` says.
    """
    if isinstance(configuration, list):
        return sum(map(secrets_from_files, configuration))
    if not isinstance(configuration, dict):
        return 0
    source = configuration.get("sds_config")
    own = isinstance(source, dict) and "path_config_source" in source
    return own + sum(map(secrets_from_files, configuration.values()))
