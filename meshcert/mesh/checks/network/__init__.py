"""Checks of the network: where tasks are, whom they reach, and who reaches them."""
