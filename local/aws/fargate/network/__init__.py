"""Loopback addresses, Cloud Map over DNS, load balancers, and where ready tasks are announced."""
