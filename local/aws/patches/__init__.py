"""
Patches of the pinned MiniStack where it departs from AWS, a file for each subject.

Each file says first what MiniStack does, what AWS does and where that is written, and what a later MiniStack must do so
that the file can go. ``tests/local/aws/patches/test_patches.py`` asks an unpatched MiniStack whether it does.
"""
