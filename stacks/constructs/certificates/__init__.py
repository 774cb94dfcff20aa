"""CAs, identities and what their certificates are."""
