"""``make demo``: a mesh deployed, proven and rotated on one machine, with every figure read from running parts."""
