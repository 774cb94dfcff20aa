"""One watcher after a good start, with an AWS, an Envoy, upstreams and clocks that obey the test."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from entrypoint.aws.retrying import ProcessClock
from entrypoint.aws.secrets_manager import SecretLabels, SecretVersion
from entrypoint.envoy.handover import FileHandover
from entrypoint.envoy.install import ResourceFiles
from entrypoint.log import Log
from entrypoint.rotating.first_delivery import FirstDelivery
from entrypoint.rotating.rotation import Rotation
from entrypoint.rotating.secret import secrets_of, wanted_secrets
from entrypoint.rotating.source import SecretSource
from entrypoint.rotating.standing import Standings
from entrypoint.settings import Settings
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.errors import Fault, RefusedByUpstreams
from meshcert.material.document import write_material, write_trust_bundle

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable
    from pathlib import Path

    from entrypoint.rotating.secret import Secret
    from evidence.fixtures.pki import Hierarchy
    from meshcert.material import Material

TRUST, IDENTITY = wanted_secrets(teller())
DAY_S = 86_400.0


class Envoy:
    """An admin interface whose Envoy serves what lies in the folder, or rejects it; it shows no certificate."""

    def __init__(self, in_file: Callable[[], str]) -> None:
        self._in_file = in_file
        self.rejecting = False
        self.silent = False
        self.silent_after = -1
        self.version = ""
        self._rejected = 0

    def get(self, path: str) -> str:
        """The counters as Envoy words them."""
        if path == "/certs":
            return '{"certificates": []}'
        assert path.startswith("/stats?filter=")
        if self.silent_after == 0:
            self.silent = True
        self.silent_after -= 1
        if self.silent:
            raise ConnectionRefusedError
        installed = self._in_file()
        if installed != self.version:
            if self.rejecting:
                self._rejected += 1
            else:
                self.version = installed
        return (
            f"sds.identity/colorteller.update_rejected: {self._rejected}\n"
            "sds.identity/colorteller.update_success: 1\n"
            "sds.identity/colorteller.update_failure: 0\n"
            f'sds.identity/colorteller.version_text: "{self.version}"\n'
            "sds.trust/colorgateway.update_success: 1\n"
        )


class Upstreams:
    """Take every certificate, or none; tests/envoy has real ones."""

    refusing = False

    def refuse_if_upstreams_do(self, name: str, *_: object) -> None:
        """See :class:`entrypoint.trial.trial.Trial`."""
        if self.refusing:
            faults = (Fault("upstream ledger", "it refuses it (unknown_ca)", "Mend its trust"),)
            raise RefusedByUpstreams(name, faults, ("ledger@10.0.0.7",))


class World:
    """One watcher after a good start."""

    def __init__(self, folder: Path, hierarchy: Hierarchy, material: Material) -> None:
        self.hierarchy = hierarchy
        self.material = material
        self.lines: list[bytes] = []
        self.now = 0.0
        self.days_ahead = 0
        """Days that the clock for checking versions is ahead."""
        self.days_ahead_at_expiry = 0
        """Days that the clock for the expiry of the served certificate is ahead."""
        self.quarantined: set[str] = set()
        self.vault = {
            TELLER_SECRET: SecretVersion(material.version_id, write_material(material, {})),
            GATEWAY_TRUST: SecretVersion("trust-1", write_trust_bundle(hierarchy.trust_bundle)),
        }
        environ = {
            "MESHCERT_PROXY": teller().to_json(),
            "AWS_REGION": "eu-west-1",
            "MESHCERT_MATERIAL_DIR": str(folder),
        }
        self.settings = Settings.from_environ(environ)
        self.envoy = Envoy(lambda: self.in_file)
        admin: Any = self.envoy
        self.handover = FileHandover(ResourceFiles(str(folder / "secrets")), lambda: admin)
        self.secrets = secrets_of(self.settings.proxy, self.handover)
        self.source = SecretSource(self, lambda: time.time() + self.days_ahead * DAY_S)
        self.standings = Standings(self.settings.proxy, self.secrets, admin)
        self.upstreams = Upstreams()
        self.log = Log("debug", self.lines.append)
        self.clock = ProcessClock(
            monotonic=lambda: self.now,
            sleep=self._sleep,
            jitter=lambda: 1.0,
            now=lambda: time.time() + self.days_ahead_at_expiry * DAY_S,
        )
        first = FirstDelivery(self.settings, self.secrets, self.source, self.handover, log=self.log, clock=self.clock)
        first.install(deadline=60.0)
        self.lines.clear()
        trial: Any = self.upstreams
        self.rotation = Rotation(
            self.settings.proxy._replace(poll_interval_s=60.0),
            self.secrets,
            self.source,
            trial=trial,
            standings=self.standings,
            log=self.log,
            clock=self.clock,
        )

    @property
    def identity(self) -> Secret:
        """The teller's."""
        return self.secrets[IDENTITY.name]

    @property
    def in_file(self) -> str:
        """The version of the identity that lies in the folder."""
        return self.handover.earlier([IDENTITY.name])[IDENTITY.name].version

    def labels(self, secret: str) -> SecretLabels:
        """Stand in for Secrets Manager."""
        return SecretLabels(self.vault[secret].version_id, frozenset(self.quarantined))

    def current_value(self, secret: str) -> SecretVersion:
        """Stand in for Secrets Manager."""
        return self.vault[secret]

    def publish(self, *, not_before: dt.datetime | None = None) -> Material:
        """Another version, newer unless told."""
        newer = self.hierarchy.issue([TELLER_NAME], not_before=not_before)
        self.vault[TELLER_SECRET] = SecretVersion(newer.version_id, write_material(newer, {}))
        return newer

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
