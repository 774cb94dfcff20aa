"""Takes the next step, and looks again, under a lease."""
