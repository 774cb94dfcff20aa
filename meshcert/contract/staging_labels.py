"""Staging labels of a secret's versions: those of AWS Secrets Manager, and our own."""

from __future__ import annotations

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"
LAST_GOOD = "LASTGOOD"
"""The version that was served and proven last, and to which a bad rollout goes back."""
QUARANTINED = "QUARANTINED"
"""The renewal function puts it on a version whose rollout failed."""
