"""Who may call whom, derived from the mesh file alone: for the map, for the demo's proof, for ``meshcert why``."""
