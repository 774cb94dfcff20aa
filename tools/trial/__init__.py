"""``make trial``: the smallest mesh, deployed to an account, judged, renewed and removed again."""
