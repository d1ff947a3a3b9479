"""The version, in one place; the changelog must agree."""

__version__ = "0.1.0"
