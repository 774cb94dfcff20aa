"""Take the next step, and look again, under a lease."""
