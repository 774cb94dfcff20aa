"""What comes next. Pure: no module here does any I/O."""
