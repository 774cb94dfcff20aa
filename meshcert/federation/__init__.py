"""
Foreign SPIFFE trust domains: their bundles read, asked for again and again, and made what proxies read.

Everything is pure, or calls ports; :mod:`meshcert.federation.https_web` alone opens connections.
"""
