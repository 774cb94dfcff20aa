"""Declared as rendered: what each proxy is told, its routes, and which of them stand in a row."""
