"""From resources of App Mesh to a mesh file."""
