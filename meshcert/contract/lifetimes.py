"""Lifetimes of certificates, and how far into one a step back is still wise."""

from __future__ import annotations

CERTIFICATE_DAYS = 395
"""Lifetime of every private certificate from ACM, which offers no choice."""
RENEWED_BEFORE_END_DAYS = 60
"""Days before the end at which ACM renews a certificate by itself (ACM user guide, "Managed renewal")."""
GO_BACK_UNTIL = 0.95
"""Elapsed fraction of a certificate's lifetime after which nothing goes back to it or stays with it for a newer one's
sake: then only going forward keeps a service alive, and a person has been told long before."""
