"""
A load client of our own, and the application it asks.

It is strict: a request that was sent and not answered is a failure, whatever closed the connection. A server that
says goodbye first (``Connection: close``, GOAWAY) and answers what it took has failed nobody.
"""
