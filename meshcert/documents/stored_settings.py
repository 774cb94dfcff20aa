"""
A proxy's settings outside its task definition.

Where they are too long for it: an object in Amazon S3, whose name holds its SHA-256. The name stands in the task
definition. So other settings are another task definition, and an older one finds its own.

Where the task definition is the user's: a row of the table ``routes`` (:mod:`meshcert.contract.route_rows`), which a
deploy writes and a deploy that fails takes back. The task definition names the row and stays as it is.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from hashlib import sha256
from typing import NamedTuple

from meshcert.bounded_json import MOST_BYTES
from meshcert.contract.route_rows import ROW_SCHEME, SETTINGS_PREFIX
from meshcert.errors import StoredSettingsUnusable

LONGEST_IN_ENVIRONMENT = 16_384
"""Characters of settings that stand in the task definition themselves, which has 64 KiB (Amazon ECS quotas)."""
LONGEST_STORED = 262_144
"""Bytes of an object; settings of :data:`~meshcert.bounded_json.MOST_BYTES` are some 40 KB."""
SUFFIX = ".zlib"
LONGEST_PACKED = 65_536
"""
Characters of the document in a row.

CloudFormation sends the new one and the old one in one event of a quarter of a megabyte (Lambda quotas, asynchronous
invocation).
"""

_URI = re.compile(rf"s3://(?P<bucket>[a-z0-9-]{{3,63}})/(?P<key>[A-Za-z0-9./_-]*?(?P<digest>[0-9a-f]{{64}}){SUFFIX})")
_ROW_URI = re.compile(
    rf"{ROW_SCHEME}(?P<table>[A-Za-z0-9_.-]{{3,255}})/{SETTINGS_PREFIX}(?P<service>[a-z0-9-]{{1,64}})"
)


class SettingsObject(NamedTuple):
    """
    An object with a proxy's settings.

    Args:
        digest: SHA-256 of its bytes, lower-case hex.
    """

    bucket: str
    key: str
    digest: str

    @classmethod
    def from_uri(cls, uri: str) -> SettingsObject:
        """
        The object that ``s3://BUCKET/KEY`` names.

        Raises:
            ValueError: If it names no object of ours. Bucket names with dots are none: no certificate of Amazon S3's
                has them.
        """
        if not (found := _URI.fullmatch(uri)):
            raise ValueError(f"it is not s3://BUCKET/SHA256{SUFFIX}")
        return cls(**found.groupdict())

    @property
    def uri(self) -> str:
        """``s3://BUCKET/KEY``."""
        return f"s3://{self.bucket}/{self.key}"

    def open(self, content: bytes) -> str:
        """
        The settings in the object, bounded before they are trusted.

        Args:
            content: Its bytes, from wherever they come.

        Raises:
            StoredSettingsUnusable: If these are other bytes, or not zlib, or more than any of ours.
        """
        if len(content) > LONGEST_STORED:
            raise StoredSettingsUnusable(self.uri, f"it is longer than {LONGEST_STORED} bytes")
        if sha256(content).hexdigest() != self.digest:
            raise StoredSettingsUnusable(self.uri, "its SHA-256 is not the one in its name")
        return _opened(content, self.uri).decode()


class SettingsRow(NamedTuple):
    """
    A row with an attached service's settings.

    Args:
        table: Name of the table ``routes``.
        service: Name of the service in the mesh file.
    """

    table: str
    service: str

    @classmethod
    def from_uri(cls, uri: str) -> SettingsRow:
        """
        The row that ``dynamodb://TABLE/settings/SERVICE`` names.

        Raises:
            ValueError: If it names no row of ours.
        """
        if not (found := _ROW_URI.fullmatch(uri)):
            raise ValueError(f"it is not {ROW_SCHEME}TABLE/{SETTINGS_PREFIX}SERVICE")
        return cls(**found.groupdict())

    @property
    def key(self) -> str:
        """Its partition key."""
        return SETTINGS_PREFIX + self.service

    @property
    def uri(self) -> str:
        """``dynamodb://TABLE/settings/SERVICE``."""
        return f"{ROW_SCHEME}{self.table}/{self.key}"

    def content(self, packed: object, version: object) -> bytes:
        """
        What :func:`packed_settings` has packed, bounded before it is trusted; :meth:`open` opens it.

        Args:
            packed: The document in the row.
            version: The version that is told with it.

        Raises:
            StoredSettingsUnusable: If these are no settings, or others than the version says.
        """
        if not isinstance(packed, str) or len(packed) > LONGEST_PACKED:
            raise StoredSettingsUnusable(self.uri, f"it is no text of at most {LONGEST_PACKED} characters")
        try:
            content = base64.b64decode(packed, validate=True)
        except (binascii.Error, ValueError):
            raise StoredSettingsUnusable(self.uri, "it is not base64") from None
        if sha256(_opened(content, self.uri)).hexdigest() != version:
            raise StoredSettingsUnusable(self.uri, "its SHA-256 is not its version")
        return content

    def open(self, content: bytes) -> str:
        """
        The settings in what :meth:`content` gave, which nobody but this container could change since.

        Raises:
            StoredSettingsUnusable: If it is not zlib, or more than any of ours.
        """
        return _opened(content, self.uri).decode()


def stored_at(uri: str) -> SettingsObject | SettingsRow:
    """
    Where settings are, from ``MESHCERT_PROXY_FROM``.

    Raises:
        ValueError: If it names nothing of ours.
    """
    return SettingsRow.from_uri(uri) if uri.startswith(ROW_SCHEME) else SettingsObject.from_uri(uri)


def packed_settings(settings: str) -> tuple[str, str]:
    """
    The document of a row for these settings, and their version.

    Args:
        settings: As JSON.
    """
    return base64.b64encode(zlib.compress(settings.encode(), 9)).decode(), version_of(settings)


def version_of(settings: str) -> str:
    """The version of settings, as JSON: their SHA-256, lower-case hex."""
    return sha256(settings.encode()).hexdigest()


def _opened(content: bytes, uri: str) -> bytes:
    """The text in UTF-8."""
    opener = zlib.decompressobj()
    try:
        text = opener.decompress(content, MOST_BYTES)
    except zlib.error:
        raise StoredSettingsUnusable(uri, "it is not zlib") from None
    if not opener.eof or opener.unused_data:
        raise StoredSettingsUnusable(uri, f"it is cut, or longer than {MOST_BYTES} bytes")
    try:
        text.decode()
    except UnicodeDecodeError:
        raise StoredSettingsUnusable(uri, "it is not Unicode text") from None
    return text


def stored_settings(settings: str) -> tuple[bytes, str]:
    """
    The bytes of the object for these settings, and their SHA-256 in lower-case hex.

    Args:
        settings: As JSON.
    """
    content = zlib.compress(settings.encode(), 9)
    return content, sha256(content).hexdigest()
