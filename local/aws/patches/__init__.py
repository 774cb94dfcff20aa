"""
Where the pinned MiniStack departs from AWS, a file for each thing that is mended.

Each file says first what MiniStack does, what AWS does and where that is written, and what a later MiniStack must do so
that the file can go. ``tests/local/aws/patches/test_mends.py`` asks an unmended MiniStack whether it does.
"""
