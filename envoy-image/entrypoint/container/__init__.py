"""What a container is: its processes, its files, why it ends, how it drains."""
