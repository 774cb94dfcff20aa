"""Material: what it is called, how it is presented, and that it never shows itself."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
import pickle
import ssl
import traceback
from typing import TYPE_CHECKING

import pytest
from aws_lambda_powertools import Logger

from evidence.fixtures.pki import Hierarchy
from meshcert.material import (
    Material,
    TrustBundle,
    certificate_version,
    join_certificates,
    split_certificates,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NAME = "colorteller.mtls.svc.cluster.local"


def assert_no_secret_in(text: str, material: Material) -> None:
    """Neither the passphrase nor any line of the key."""
    assert material.passphrase.reveal() not in text
    for line in material.private_key.reveal().splitlines()[1:-1]:
        assert line not in text


class TestRedaction:
    """Secret types show a digest or ``***`` wherever Python prints them."""

    @pytest.mark.parametrize(
        "show",
        [
            repr,
            str,
            "{}".format,
            "{!r:>200}".format,
            lambda value: "%s" % (value,),  # noqa: UP031  the old way is what is tried
            lambda value: json.dumps({"value": value}, default=str),
            lambda value: json.dumps([value], default=repr),
        ],
        ids=["repr", "str", "format", "padded repr", "percent", "json str", "json repr"],
    )
    def test_printing_never_shows_a_secret(self, material: Material, show: Callable[[object], str]) -> None:
        """Alone, inside the material and inside containers."""
        for value in (material, material.private_key, material.passphrase, [material], {"m": material}):
            assert_no_secret_in(show(value), material)

    def test_the_key_shows_a_digest(self, material: Material) -> None:
        """So that two keys can be told apart in a log."""
        digest = hashlib.sha256(material.private_key.reveal().encode()).hexdigest()[:12]

        assert repr(material.private_key) == f"<EncryptedPrivateKey sha256:{digest}>"
        assert f"{material.passphrase}" == "<Passphrase ***>"

    def test_the_json_logger_never_shows_a_secret(self, material: Material) -> None:
        """Neither as message, nor as argument, nor as an extra field, nor in an exception."""
        stream = io.StringIO()
        logger = Logger(service="test-redaction", stream=stream)

        logger.info(material)
        logger.info("%s and %r", material.passphrase, material.private_key)
        logger.info("extra", extra={"material": material, "nested": {"key": [material.private_key]}})
        logger.append_keys(passphrase=material.passphrase)
        logger.error("failed", exc_info=ValueError(material))

        assert len(stream.getvalue().splitlines()) == 4
        assert_no_secret_in(stream.getvalue(), material)

    def test_the_plain_logger_never_shows_a_secret(self, material: Material, caplog: pytest.LogCaptureFixture) -> None:
        """What the core logs through the standard library."""
        logging.getLogger("meshcert.test").warning("%s", material)

        assert_no_secret_in(caplog.text, material)

    def test_a_traceback_with_locals_never_shows_a_secret(self, material: Material) -> None:
        """Tools that print local variables print their repr."""

        def fail(held: Material) -> None:
            passphrase = held.passphrase
            raise RuntimeError(f"with {held} and {passphrase}")

        with pytest.raises(RuntimeError) as caught:
            fail(material)

        report = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
        assert_no_secret_in("".join(report.format()), material)

    @pytest.mark.parametrize(
        "serialise",
        [pickle.dumps, copy.deepcopy, lambda material: pickle.dumps(material._asdict())],
        ids=["pickle", "deepcopy", "pickled fields"],
    )
    def test_material_is_not_serialised_by_accident(
        self, material: Material, serialise: Callable[[Material], object]
    ) -> None:
        """The one way out is meshcert.material.document."""
        with pytest.raises(TypeError, match=r"never serialised: publish it through meshcert\.material\.document"):
            serialise(material)

    def test_a_plain_json_encoder_refuses_it(self, material: Material) -> None:
        """json.dumps without a default raises and does not quote."""
        with pytest.raises(TypeError) as caught:
            json.dumps({"passphrase": material.passphrase})

        assert_no_secret_in(str(caught.value), material)

    def test_secrets_compare_by_content_and_type(self, material: Material) -> None:
        """A key and a passphrase of the same text are two things."""
        text = material.passphrase.reveal()

        assert type(material.passphrase)(text) == material.passphrase
        assert hash(type(material.passphrase)(text)) == hash(material.passphrase)
        assert type(material.private_key)(text) != material.passphrase


class TestNames:
    """Versions are named after their content."""

    def test_a_version_is_named_after_the_leafs_der(self, material: Material) -> None:
        """Lower-case hex SHA-256, 64 characters, whatever white space stands around the PEM."""
        der = ssl.PEM_cert_to_DER_cert(material.certificate)

        assert material.version_id == hashlib.sha256(der).hexdigest()
        assert certificate_version(f"\n{material.certificate}\n\n") == material.version_id
        assert len(material.version_id) == 64

    def test_a_bundles_name_does_not_depend_on_the_order_of_its_roots(self) -> None:
        """The same roots are the same version."""
        one, two = Hierarchy().root_pem, Hierarchy().root_pem

        assert TrustBundle(one + two).version_id == TrustBundle(two + one).version_id
        assert TrustBundle(one).version_id != TrustBundle(two).version_id

    def test_what_is_not_pem_has_no_name(self) -> None:
        """A placeholder is not a certificate."""
        with pytest.raises(ValueError, match="PEM"):
            certificate_version("tempcert")


class TestChain:
    """What a peer is sent."""

    def test_the_root_is_not_presented(self) -> None:
        """Leaf first, then the issuing CA; a peer has its own copy of the root, or trusts none."""
        hierarchy = Hierarchy(tiers=2)
        material = hierarchy.issue([NAME])

        assert split_certificates(material.presented_chain) == [
            material.certificate.strip(),
            hierarchy.issuing_pem.strip(),
        ]

    def test_a_single_tier_presents_the_leaf_alone(self) -> None:
        """Its chain is the root."""
        material = Hierarchy(tiers=1).issue([NAME])

        assert split_certificates(material.presented_chain) == [material.certificate.strip()]

    def test_joined_certificates_never_touch(self) -> None:
        """Envoy refuses PEM blocks without a line break between them."""
        pem = Hierarchy().root_pem.strip()

        assert join_certificates([pem, pem]) == f"{pem}\n{pem}\n"
