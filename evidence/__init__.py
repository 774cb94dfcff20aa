"""
What meshcert claims, and the programs that measure it. The product never imports this; tests do, and never back.

Which folder answers which question:

=============== =========================================================================== =======================
``bench``       How fast is it: start, rotation, cold import, a fleet?                      ``make bench``
``load``        Does a client lose a request? The strict client, and the server it asks.    used by rotations
``lifetimes``   Does a certificate live its whole life while AWS fails? In minutes.         ``make soak``, e2e
``simulation``  The same for a thousand certificates or for years, on AWS in memory.        ``make bench``, tests
``soak``        How often does it fail in hours: lifetimes, crashes, kills, rotations?      ``make soak``
``fixtures``    What these and the tests start: a PKI, containers, proxies, AWS's wire.     (nothing by itself)
=============== =========================================================================== =======================

Figures and what they stand on are in docs/benchmarks.md and docs/soak.json.
"""
