"""What a proxy is told outside its task definition: documents of its own, packed, and bounded where they are read."""
