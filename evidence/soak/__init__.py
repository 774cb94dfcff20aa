"""The large counts: three lifetimes, every crash boundary, a fleet; hours, where ``make test`` takes minutes."""
