"""``make rooms``: the picture of the rooms in docs/architecture.md, drawn from the imports of the code."""
