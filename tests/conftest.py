"""What holds for all tests."""

# Programs that tests start and files that only type checkers read: pytest collects
# modules for their doctests and must not import these.
collect_ignore_glob = [
    "typing/*.py",
    "*/[!t]*_app.py",
    "*/suites.py",
    "*/install.py",
]
