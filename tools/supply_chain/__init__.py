"""What is installed, by hash: locks, the list of what is shipped, and known advisories about it."""
