"""
What people have written for AWS App Mesh, turned into a mesh file.

App Mesh ended on 30 September 2026, so nothing is asked of AWS: definitions come from files. ``reading/`` makes
resources of them, ``fields/`` has every field of App Mesh with what becomes of it, ``converting/`` makes the mesh file.
Only the command line imports this room.
"""
