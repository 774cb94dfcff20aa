"""Staging labels of a secret's versions: those of AWS Secrets Manager, and those of meshcert."""

from __future__ import annotations

CURRENT = "AWSCURRENT"
PENDING = "AWSPENDING"
PREVIOUS = "AWSPREVIOUS"
LAST_GOOD = "LASTGOOD"
"""On the version that was last proven good, to which a bad rollout goes back."""
QUARANTINED = "QUARANTINED"
"""On a version whose rollout failed; the renewal function puts it there."""
