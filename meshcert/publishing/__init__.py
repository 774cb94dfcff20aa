"""Material leaves its issuer, is checked, and becomes the version of a secret that proxies read."""
