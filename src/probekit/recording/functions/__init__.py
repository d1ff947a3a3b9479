"""Functions that are timed or counted: the decorator, their twins, their outcomes."""
