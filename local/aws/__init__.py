"""The local AWS: MiniStack under an overlay, started by ``python -m local.aws`` in an environment of its own."""
