"""How values are defined where every millisecond of a container's start counts."""
