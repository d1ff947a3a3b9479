"""Errors: grouped by type and place, counted exactly, sampled sparingly."""
