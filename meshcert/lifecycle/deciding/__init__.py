"""Decides the next step for an identity. Pure: no module here does any I/O."""
