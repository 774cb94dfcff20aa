"""
A proxy's settings that are too long for a task definition: an object in Amazon S3, whose name holds its SHA-256.

The name stands in the task definition. So other settings are another task definition, and an older one finds its own.
"""

from __future__ import annotations

import re
import zlib
from hashlib import sha256
from typing import NamedTuple

from meshcert.bounded_json import MOST_BYTES
from meshcert.errors import StoredSettingsUnusable

LONGEST_IN_ENVIRONMENT = 16_384
"""Characters of settings that stand in the task definition themselves, which has 64 KiB (Amazon ECS quotas)."""
LONGEST_STORED = 262_144
"""Bytes of an object; settings of :data:`~meshcert.bounded_json.MOST_BYTES` are some 40 KB."""
SUFFIX = ".zlib"

_URI = re.compile(rf"s3://(?P<bucket>[a-z0-9-]{{3,63}})/(?P<key>[A-Za-z0-9./_-]*?(?P<digest>[0-9a-f]{{64}}){SUFFIX})")


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
        opener = zlib.decompressobj()
        try:
            text = opener.decompress(content, MOST_BYTES)
        except zlib.error:
            raise StoredSettingsUnusable(self.uri, "it is not zlib") from None
        if not opener.eof or opener.unused_data:
            raise StoredSettingsUnusable(self.uri, f"it is cut, or longer than {MOST_BYTES} bytes")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise StoredSettingsUnusable(self.uri, "it is not Unicode text") from None


def stored_settings(settings: str) -> tuple[bytes, str]:
    """
    The bytes of the object for these settings, and their SHA-256 in lower-case hex.

    Args:
        settings: As JSON.
    """
    content = zlib.compress(settings.encode(), 9)
    return content, sha256(content).hexdigest()
