"""The search that every test of this folder ends with finds what it looks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from evidence.fixtures.canary_search import leaks_of
from evidence.fixtures.proxies import teller
from meshcert.proxy import DeliveryMode
from tests.envoy.conftest import both_deliveries

if TYPE_CHECKING:
    from collections.abc import Callable

    from evidence.fixtures.secrets_api import SecretsApi
    from meshcert.material import Material
    from tests.envoy.conftest import Start


def _opened(material: Material) -> bytes:
    key = serialization.load_pem_private_key(
        material.private_key.reveal().encode(), material.passphrase.reveal().encode()
    )
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


FORMS: dict[str, Callable[[Material], bytes]] = {
    "passphrase": lambda material: material.passphrase.reveal().encode(),
    "encrypted key": lambda material: material.private_key.reveal().encode(),
    "opened key": _opened,
}


@both_deliveries
def test_a_planted_secret_is_found_in_every_form(
    start: Start, published: SecretsApi, material: Material, delivery: DeliveryMode
) -> None:
    """In a file of the container's; with delivery sds also where the other delivery has its secrets."""
    container = start(teller())
    container.wait_until_healthy()
    assert leaks_of(container, published) == []
    folder = container.material_dir / ("secrets" if delivery is DeliveryMode.SDS else "")
    folder.mkdir(exist_ok=True)
    planted = folder / "core"

    for form, bytes_of in FORMS.items():
        planted.write_bytes(b"begun " + bytes_of(material) + b" ended")
        found = leaks_of(container, published)
        planted.unlink()

        assert {leak.place for leak in found} == {str(planted)}, form


def test_a_secret_in_the_log_or_in_a_row_is_found(start: Start, published: SecretsApi, material: Material) -> None:
    """What is written to the outside is looked at too."""
    container = start(teller())
    container.wait_until_healthy()
    written = container.log
    passphrase = material.passphrase.reveal()

    (container.folder / "log").write_text(written + passphrase)
    published.rows.append({"last_error": passphrase})
    found = leaks_of(container, published)
    (container.folder / "log").write_text(written)
    published.rows.pop()

    assert {leak.place for leak in found} == {str(container.folder / "log"), "its rows in the table"}
