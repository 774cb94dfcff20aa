"""From files to resources: what they are written in, and what stands open in them."""
