"""One container: what its definition and image say, the namespaces it runs in, its health, its output."""
