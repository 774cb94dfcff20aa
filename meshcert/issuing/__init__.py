"""
Who issues certificates: what an issuer says, does and can. ACM is one.

The lifecycle speaks of issuances alone, so another issuer is a module here and its stack.
"""
