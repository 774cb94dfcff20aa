"""The ways of starting Envoy that are compared: alone, with meshcert's entry point, with others'."""

from __future__ import annotations

import json
import os
import shutil
import ssl
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from evidence.bench.delivered import deliver
from evidence.bench.image import REPOSITORY
from evidence.bench.start import Launch
from evidence.fixtures.pki import Hierarchy, KeyAlgorithm
from evidence.fixtures.proxies import GATEWAY_TRUST, TELLER_NAME, TELLER_SECRET, teller
from meshcert.envoy import Addresses, bootstrap, secrets_used
from meshcert.proxy import DeliveryMode, SecretReference
from meshcert.san import Dns, Uri

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from evidence.bench.image import Image
    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.san import San

Key = Literal["rsa", "ec"]
KEYS: dict[Key, KeyAlgorithm] = {"rsa": "RSA_2048", "ec": "EC_prime256v1"}

WITH_BOTO3 = REPOSITORY / "evidence/bench/with_boto3.py"
WALKTHROUGH = REPOSITORY / "evidence/bench/walkthrough.sh"
WALKTHROUGH_NEEDS = ("bash", "jq", "openssl")

_DNS_NAME = Dns(TELLER_NAME)
SPIFFE_ID = Uri("spiffe://color.example/colorteller")
IDENTITY, TRUST = "colorteller", "colorgateway"


class Place(NamedTuple):
    """
    Where one start happens.

    Args:
        folder: Its own, empty, on a tmpfs if there is one.
        address: Its own loopback address.
    """

    folder: Path
    address: str


def missing_programs() -> tuple[str, ...]:
    """Programs that the walkthrough's way needs and this machine does not have."""
    return tuple(name for name in WALKTHROUGH_NEEDS if shutil.which(name) is None)


def envoy_arguments(config: Path) -> list[str]:
    """Envoy's arguments, as the entry point gives them."""
    return [
        *("-c", str(config), "--disable-hot-restart", "--concurrency", str(len(os.sched_getaffinity(0)))),
        *("--drain-time-s", "1", "--file-flush-interval-msec", "250", "--log-level", "warning"),
    ]


def https_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """
    TLS for a stand-in for AWS at ``localhost``, with a chain as AWS's endpoints have it: RSA, one issuing CA.

    Args:
        folder: For the file of the CA that callers have to trust.

    Returns:
        The server's context, and the file.
    """
    hierarchy = Hierarchy(tiers=2, key="RSA_2048")
    material = hierarchy.issue(["localhost"], key_algorithm="RSA_2048")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile("w", dir=folder) as file:
        file.write(material.certificate + hierarchy.issuing_pem + material.private_key.reveal())
        file.flush()
        context.load_cert_chain(file.name, password=material.passphrase.reveal())
    trusted = folder / "aws.pem"
    trusted.write_text(hierarchy.root_pem)
    return context, trusted


class Ways:
    """
    One virtual node with mutual TLS, its secrets and the ways of starting it.

    Args:
        key: Algorithm of every key: the leaf's and those of the two CAs above it.
        image: The Envoy image.
        apis: The stand-ins for AWS, the usual one first; the secrets are published in all of them.
        name: The node's identity; with a SPIFFE ID it may offer the Workload API.
    """

    def __init__(self, key: Key, image: Image, *apis: SecretsApi, name: San = _DNS_NAME) -> None:
        hierarchy = Hierarchy(tiers=2, key=KEYS[key])
        self._image = image
        self._api = apis[0]
        self._material = hierarchy.issue([str(name)], key_algorithm=KEYS[key])
        self._trust_bundle = hierarchy.trust_bundle
        kind = f"{key}-{type(name).__name__.lower()}"
        self._identity, self._trust = f"{TELLER_SECRET}-{kind}", f"{GATEWAY_TRUST}-{kind}"
        self._settings = teller(
            identities={IDENTITY: SecretReference(self._identity, (name,))},
            trust_bundles={TRUST: SecretReference(self._trust)},
            trust_domain_bundles=(TRUST,) if isinstance(name, Uri) else (),
            poll_interval_s=60.0,
        )
        for api in apis:
            api.publish(self._identity, self._material)
            api.publish_trust_bundle(self._trust, self._trust_bundle)

    def bare(self, place: Place) -> Launch:
        """Envoy alone; its configuration and its SDS files are in place."""
        secrets = place.folder / "secrets"
        deliver(secrets, self._settings, self._material, self._trust_bundle)
        config = self._configuration(place, secrets)
        return Launch(
            [self._image.program("envoy"), *envoy_arguments(_written(config, place))],
            self._image.environment,
            place.address,
            secrets_used(self._settings),
        )

    def meshcert(
        self, place: Place, delivery: DeliveryMode = DeliveryMode.FILE, more: Mapping[str, str] | None = None
    ) -> Launch:
        """
        The image's first process: credentials, fetch and pre-flight included.

        Args:
            place: Where.
            delivery: How Envoy gets the secrets.
            more: Variables besides those of the container.
        """
        program, *arguments = self._image.entrypoint
        environment = {
            **self._image.environment,
            **self._api.environment,
            **(more or {}),
            "MESHCERT_PROXY": self._settings._replace(delivery=delivery).to_json(),
            "MESHCERT_LISTEN_ADDRESS": place.address,
            "MESHCERT_LOOPBACK_ADDRESS": place.address,
            "MESHCERT_MATERIAL_DIR": str(place.folder),
            "MESHCERT_DRAIN_S": "0",
        }
        command = [self._image.program(program), *arguments]
        return Launch(command, environment, place.address, secrets_used(self._settings))

    def with_workload_api(self, place: Place, delivery: DeliveryMode = DeliveryMode.FILE) -> Launch:
        """The same as :meth:`meshcert`, and the application may ask for its SVIDs."""
        more = {
            "MESHCERT_WORKLOAD_API_SOCKET": str(place.folder / "workload.sock"),
            "MESHCERT_WORKLOAD_API_USERS": str(os.getuid()),
        }
        return self.meshcert(place, delivery, more)

    def boto3(self, place: Place) -> Launch:
        """A Python entry point with boto3, compiled; it fetches, writes PEM files and checks nothing."""
        keys = place.folder / "keys"
        keys.mkdir()
        config = with_files(self._configuration(place, keys), keys, passphrase=True)
        envoy = [self._image.program("envoy"), *envoy_arguments(_written(config, place))]
        command = [sys.executable, str(WITH_BOTO3), str(keys), self._identity, self._trust, *envoy]
        environment = {**self._api.environment, "AWS_DEFAULT_REGION": "eu-west-1"}
        return Launch(command, environment, place.address)

    def walkthrough(self, place: Place) -> Launch:
        """bash, jq and openssl, with the secret in the environment already; RSA only, as the original."""
        keys = place.folder / "keys"
        keys.mkdir()
        (keys / "trust_bundle.pem").write_text(self._trust_bundle.certificates)
        secret = {
            "Certificate": self._material.certificate,
            "CertificateChain": self._material.certificate_chain,
            "PrivateKey": self._material.private_key.reveal(),
            "Passphrase": self._material.passphrase.reveal(),
        }
        config = with_files(self._configuration(place, keys), keys)
        return Launch(
            [
                str(WALKTHROUGH),
                self._image.program("envoy"),
                *envoy_arguments(_written(config, place)),
            ],
            {"PATH": os.environ["PATH"], "KEYS": str(keys), "SECRET": json.dumps(secret)},
            place.address,
        )

    def _configuration(self, place: Place, secrets: Path) -> dict[str, Any]:
        return bootstrap(self._settings, Addresses(str(secrets), listen=place.address, loopback=place.address))


def with_files(configuration: dict[str, Any], keys: Path, *, passphrase: bool = False) -> dict[str, Any]:
    """
    The same configuration with PEM files where SDS was: static TLS contexts, which Envoy reads once.

    Args:
        configuration: From :func:`meshcert.envoy.bootstrap`; it is changed.
        keys: Folder of ``certificate_chain.pem``, ``private_key.pem`` and ``trust_bundle.pem``.
        passphrase: Whether the key is encrypted, and the file ``passphrase`` opens it.
    """
    password = {"password": {"filename": f"{keys}/passphrase"}} if passphrase else {}
    for listener in configuration["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            common = chain["transport_socket"]["typed_config"]["common_tls_context"]
            del common["tls_certificate_sds_secret_configs"]
            common["tls_certificates"] = [
                {
                    "certificate_chain": {"filename": f"{keys}/certificate_chain.pem"},
                    "private_key": {"filename": f"{keys}/private_key.pem"},
                    **password,
                }
            ]
            rules = common.pop("combined_validation_context")["default_validation_context"]
            common["validation_context"] = {**rules, "trusted_ca": {"filename": f"{keys}/trust_bundle.pem"}}
    return configuration


def _written(configuration: dict[str, Any], place: Place) -> Path:
    file = place.folder / "envoy.json"
    file.write_text(json.dumps(configuration))
    return file
