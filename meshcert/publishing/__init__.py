"""Material is taken out, checked, and becomes the version of a secret that proxies read."""
