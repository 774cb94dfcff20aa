"""What meshcert claims, and the programs that measure it: nothing of the product imports this."""
