"""
From "issued" to "served", again and again: look at one identity, decide, take the next step.

Every trigger only says "look at this identity now". :mod:`~meshcert.lifecycle.observing.observe` collects what the
issuer, the secret, the platform and the running instances say; :mod:`~meshcert.lifecycle.deciding.plan` compares it
with what should be, without any I/O; :mod:`~meshcert.lifecycle.doing.reconcile` takes the step, under a lease. Lost,
doubled, late and shuffled events and crashes need no code of their own: the next look sees what is.
"""
