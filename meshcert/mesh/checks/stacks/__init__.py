"""Checks of how a mesh is divided among stacks."""
