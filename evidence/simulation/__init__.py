"""Working stand-ins for AWS in memory: they keep state and obey AWS's rules. Tests and benchmarks run on them."""
