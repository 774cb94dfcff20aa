"""Where the pinned MiniStack departs from AWS, one file for each thing that is mended."""
