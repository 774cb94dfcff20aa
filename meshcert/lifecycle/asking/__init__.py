"""Requests for a look at an identity: from events, from the clock, and from operators."""
