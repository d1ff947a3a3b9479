"""What holds for all tests."""

from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> "bool | None":
    """Collect tests only.

    Looking for doctests, pytest would import every module here: programs that tests
    start, helpers, and files that only type checkers read.
    """
    if collection_path.suffix == ".py" and not collection_path.name.startswith("test_"):
        return True
    return None
