"""
From "issued" to "served", again and again: look at one identity, decide, take the next step.

Every trigger only asks to look at an identity now. :mod:`~meshcert.lifecycle.observing.observe` collects what the
issuer, the secret, the platform and the running instances say; :mod:`~meshcert.lifecycle.deciding.plan` compares it
with the wanted state, without any I/O; :mod:`~meshcert.lifecycle.doing.reconcile` takes the step, under a lease. Events
that are lost, doubled, late or out of order, and crashes, need no code of their own: the next look sees the present
state.
"""
