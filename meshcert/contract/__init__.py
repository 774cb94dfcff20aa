"""
Facts that functions, stacks and the Envoy container share, each written only here.

The modules import nothing. The container imports them at every start, so they are plain constants.
"""
