"""Whole modules: which functions they have, and when they are imported."""
