"""Pure functions, one file a verb: they take values and return values."""
