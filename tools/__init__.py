"""Commands for the people who run a mesh on AWS; each is a make target."""
