"""How long what AWS issues lives."""

from __future__ import annotations

CERTIFICATE_DAYS = 395
"""Of every private ACM certificate; ACM offers no choice."""
RENEWED_BEFORE_END_DAYS = 60
"""When ACM renews one by itself (ACM user guide, "Managed renewal")."""
