"""Every field of App Mesh, and what becomes of it in the mesh file: one table for importer and docs."""
