"""Lifetimes of certificates that ACM issues."""

from __future__ import annotations

CERTIFICATE_DAYS = 395
"""Lifetime of every private certificate from ACM, which offers no choice."""
RENEWED_BEFORE_END_DAYS = 60
"""Days before the end at which ACM renews a certificate by itself (ACM user guide, "Managed renewal")."""
