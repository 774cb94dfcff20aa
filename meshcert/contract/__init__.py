"""
Facts that functions, stacks and the Envoy container share: each stands here and nowhere else.

The modules import nothing. The container imports them at every start, so they are plain constants.
"""
