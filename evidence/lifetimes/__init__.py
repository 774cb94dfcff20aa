"""
Whole lifetimes of certificates in minutes: real functions, real Envoys, the real clock, and AWS at its worst.

Several identities live side by side in one mesh, each with a trouble of its own (:mod:`~evidence.lifetimes.subjects`):
events get lost, doubled and shuffled, AWS services fail, the CA's permission is gone. A monitor writes down what is
issued, published and served (:mod:`~evidence.lifetimes.monitor`); the verdict is arithmetic over what it has seen
(:mod:`~evidence.lifetimes.verdict`).
"""
