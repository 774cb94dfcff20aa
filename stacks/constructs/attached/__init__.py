"""Services of the user's: the mesh's part of them, and the sidecar for their own CDK app."""
