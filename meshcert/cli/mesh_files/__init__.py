"""The commands that make a mesh file, and show what comes of one; they ask AWS nothing."""
