"""The containers of a service's task, and the order in which they start and stop."""
