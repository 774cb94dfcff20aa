"""``meshcert credentials``: certificate, chain and key of an identity for a client outside the mesh, in files."""
