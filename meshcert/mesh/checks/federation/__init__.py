"""Checks of foreign trust domains, and of where they are trusted."""
