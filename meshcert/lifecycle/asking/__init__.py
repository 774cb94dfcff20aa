"""Who asks for a look at an identity: events, the clock, an operator."""
