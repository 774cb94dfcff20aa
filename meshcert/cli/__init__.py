"""
``meshcert``: what an operator sees and may do, on AWS and on the local AWS alike.

It needs no access to keys: everything is read from ACM, labels, ECS and the tables, ``renew`` and ``rollback`` put an
order into a queue, and ``verify`` has the verify function look.
"""
