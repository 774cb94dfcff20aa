"""Which stacks a mesh is divided among."""
