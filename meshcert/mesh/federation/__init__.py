"""Foreign trust domains in the mesh file."""
