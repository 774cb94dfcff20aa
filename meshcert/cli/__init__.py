"""
``meshcert``: an operator's view of a mesh and orders for it, on AWS and on the local AWS alike.

It needs no access to keys. It reads everything from ACM, staging labels, ECS and the tables; ``renew`` and ``rollback``
put an order into a queue, and ``verify`` calls the verify function.
"""
