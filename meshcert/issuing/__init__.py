"""
Issuers of certificates: their state, their calls and their abilities. ACM is the only one so far.

The lifecycle knows only issuances, so a further issuer is a module here and a stack.
"""
