"""The container: its processes, its files, its exit codes, its draining."""
