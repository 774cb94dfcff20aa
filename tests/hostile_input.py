"""
Everything that reads what others wrote, with good input to spoil: the input may be anything, the errors may not.

Hypothesis spoils it, in few examples by ``make test`` and in very many by ``make soak``. What comes out is an answer or
one of the errors that the reader's docstring promises, within a second.
"""

from __future__ import annotations

import datetime as dt
import json
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import seed as choose
from hypothesis import strategies as st

from entrypoint import sds_messages
from entrypoint.acceptance import secret_counters, served_leaves
from entrypoint.delivery import Delivery, Wanted
from entrypoint.revocation_list import read_revocation_list
from entrypoint.sds_framing import CallRefused, Deframer
from entrypoint.sds_wire import WireFault
from entrypoint.secrets_manager import SecretsManager
from meshcert.document import read_material, read_trust_bundle, write_material, write_trust_bundle
from meshcert.errors import MeshcertError
from meshcert.lifecycle.memory import Memory
from meshcert.proxy import ProxySettings, SecretReference
from tests.pki import Hierarchy
from tests.proxies import TELLER_NAME, TELLER_SECRET, gateway, teller

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = dt.timedelta(seconds=1)
"""No input may keep a reader busy for longer."""
_EDIT, _MOST_EDITS = 6, 5
"""Bytes that describe one edit; edits of one input."""
_LENGTHS = (0, 1, 2, 8, 64, 4096)
_TOKENS = (
    b"", b"\0", b"\xff", b"\xed\xa0\x80", b'"', b"{", b"[" * 2000, b"null", b"-1", b"1e999", b"\\ud800", b"\r\n",
    b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"\x30\x84\xff\xff\xff\xff", b"\x80", b"\x30\x80",
)  # fmt: skip
"""What parsers stumble over: ends of text, half characters, deep nesting, lengths beyond the end."""


_PLANS = st.binary(min_size=1 + _EDIT, max_size=1 + _EDIT * _MOST_EDITS)


class Reader(NamedTuple):
    """
    A function that reads what others wrote.

    Args:
        name: Of the reader.
        read: Takes the input.
        errors: What it may raise.
        good: Inputs that it reads without an error.
    """

    name: str
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    good: tuple[bytes, ...]


def spoiled(good: tuple[bytes, ...], plan: bytes) -> bytes:
    """
    Good input after some edits: bytes changed, cut out, doubled, put in; seldom something else altogether.

    Args:
        good: What to begin with.
        plan: What to do: any bytes; the first chooses the input, each six more are an edit.
    """
    text = (*good, b"")[plan[0] % (len(good) + 1)] if plan else b""
    for step in range(1, len(plan) - _EDIT + 1, _EDIT):
        kind, high, low, length, *put = plan[step : step + _EDIT]
        at = (high << 8 | low) % (len(text) + 1)
        until = min(len(text), at + _LENGTHS[length % len(_LENGTHS)])
        match kind % 4:
            case 0:
                inset = bytes(put)
            case 1:
                inset = _TOKENS[put[0] % len(_TOKENS)]
            case 2:
                inset = text[at:until] * 2
            case _:
                inset = good[put[0] % len(good)]
        text = text[:at] + inset + text[until:]
    return text


def spoil(reader: Reader, examples: int, *, seed: int | None = None, longest: dt.timedelta = LONGEST) -> int:
    """
    Give a reader spoiled input.

    Args:
        reader: Who reads.
        examples: How many inputs, about.
        seed: Of the choice of inputs; None chooses the same ones every time.
        longest: How long one may take.

    Returns:
        How many inputs it has read.

    Raises:
        Exception: What the reader must not raise; hypothesis tells the smallest input that it found for it.
        hypothesis.errors.DeadlineExceeded: If one took longer.
    """
    read = 0

    def try_one(plan: bytes) -> None:
        nonlocal read
        read += 1
        text = spoiled(reader.good, plan)
        note(f"{reader.name}: {text!r}")
        with suppress(*reader.errors):
            reader.read(text)

    run = settings(
        max_examples=examples,
        deadline=longest,
        report_multiple_bugs=False,
        database=None,
        derandomize=seed is None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )(given(_PLANS)(try_one))
    (run if seed is None else choose(seed)(run))()
    return read


def parsers() -> list[Reader]:
    """Readers that only take a text apart."""
    hierarchy = Hierarchy(2)
    secret = write_material(hierarchy.issue([TELLER_NAME]), {}).encode()
    bundle = write_trust_bundle(hierarchy.trust_bundle).encode()
    labels = json.dumps({"Name": "s", "VersionIdsToStages": {"v": ["AWSCURRENT"], "w": ["QUARANTINED"]}}).encode()
    value = json.dumps({"ARN": "s", "VersionId": "v", "SecretString": "text", "VersionStages": ["AWSCURRENT"]}).encode()
    root = ssl.PEM_cert_to_DER_cert(hierarchy.root_pem)
    stats = b'sds.identity/a.update_success: 1\nsds.identity/a.version_text: "v"\nsds.x.update_rejected: 0\n'
    certificates = json.dumps(
        {
            "certificates": [
                {
                    "cert_chain": [
                        {
                            "serial_number": "0a",
                            "expiration_time": "2027-01-01T00:00:00Z",
                            "subject_alt_names": [{"dns": "a"}],
                        }
                    ]
                }
            ]
        }
    ).encode()
    settings_text = tuple(one.to_json().encode() for one in (teller(), gateway()))
    asked = (b"\x0a\x02v1\x1a\x0aidentity/a\x22\x02ty\x2a\x01n", b"\x1a\x01a\x1a\x01b\x32\x05\x08\x0d\x12\x01r")
    return [
        Reader("material", lambda text: read_material(_text(text), "s"), (MeshcertError,), (secret,)),
        Reader("trust bundle", lambda text: read_trust_bundle(_text(text), "s"), (MeshcertError,), (bundle,)),
        Reader("proxy settings", lambda text: ProxySettings.from_json(_text(text)), (ValueError,), settings_text),
        Reader("DescribeSecret", lambda text: SecretsManager(_Wire(text)).versions("s"), (MeshcertError,), (labels,)),
        Reader(
            "GetSecretValue", lambda text: SecretsManager(_Wire(text)).current_value("s"), (MeshcertError,), (value,)
        ),
        Reader(
            "revocation list",
            lambda text: read_revocation_list(text, root),
            (ValueError,),
            (hierarchy.revocation_list(by="root"),),
        ),
        Reader("Envoy's counters", lambda text: secret_counters(_Admin(text)), (OSError,), (stats,)),  # type: ignore[arg-type]  # an Admin that only answers
        Reader("Envoy's certificates", lambda text: served_leaves(_Admin(text)), (OSError,), (certificates,)),  # type: ignore[arg-type]  # the same
        Reader("SDS request", sds_messages.read_request, (WireFault,), asked),
        Reader("SDS delta request", sds_messages.read_delta_request, (WireFault,), asked),
        Reader("gRPC frames", lambda text: Deframer().feed(text), (CallRefused,), (b"\0\0\0\0\1a\0\0\0\0\0",)),
        Reader("memory", lambda text: Memory.from_json(_text(text)), (), (Memory().to_json().encode(),)),
    ]


def checks() -> list[Reader]:
    """Readers that judge what they have read: the pre-flight, from a secret's value to what Envoy would be handed."""
    hierarchy = Hierarchy(2)
    secrets = {
        "identity": write_material(hierarchy.issue([TELLER_NAME]), {}).encode(),
        "trust": write_trust_bundle(hierarchy.trust_bundle).encode(),
    }
    wanted = {
        "identity": Wanted("identity/a", SecretReference(TELLER_SECRET, (TELLER_NAME,)), is_identity=True),
        "trust": Wanted("trust/a", SecretReference(TELLER_SECRET), is_identity=False),
    }
    return [
        Reader(
            f"pre-flight of {kind}",
            lambda text, kind=kind: _fetch(text, wanted[kind]),  # type: ignore[misc]  # mypy cannot infer the default
            (MeshcertError,),
            (secrets[kind],),
        )
        for kind in secrets
    ]


def _fetch(text: bytes, wanted: Wanted) -> object:
    value = {"ARN": "s", "VersionId": "v", "SecretString": _text(text), "VersionStages": ["AWSCURRENT"]}
    wire = _Wire(json.dumps(value).encode())
    return Delivery(SecretsManager(wire), _NOWHERE, time.time).fetch(wanted)


_NOWHERE: Any = None
"""What is only fetched is handed to nobody."""


class _Wire:
    """A connection to Secrets Manager with one answer."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def post(self, headers: list[tuple[str, str]], body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """That answer."""
        del headers, body, timeout_s
        return 200, self._body


class _Admin:
    """Envoy's administration interface with one answer."""

    def __init__(self, body: bytes) -> None:
        self._text = _text(body)

    def get(self, path: str) -> str:
        """That answer."""
        del path
        return self._text


def _text(body: bytes) -> str:
    return body.decode(errors="surrogateescape")
