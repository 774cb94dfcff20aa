"""
The SPIFFE Workload API: the application in this task gets its identities, and holds its keys in clear.

Only the X.509 profile (SPIFFE standard ``SPIFFE_Workload_API.md``, section 5). Nothing of this is loaded unless it is
asked for.
"""
