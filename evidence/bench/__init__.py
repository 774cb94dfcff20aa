"""``make bench``: what is claimed about speed, measured on this machine; docs/benchmarks.md says what is compared."""
