"""From a YAML text to a mesh, or to its faults, each with its line and what to write instead."""
