"""Cells: one account and region each, with certificates, secrets, tables, functions and services of its own."""
