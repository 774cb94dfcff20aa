"""HTTP as applications speak it: which versions and upgrades, and how long a request may take."""
