"""Celery, both sides of a task; the door to what ``instrument_libraries`` does.

```python
from probekit.integrations.celery import instrument

instrument()  # in the module of the application, which the worker imports too
```
"""

from probekit.integrations.libraries import instrument_libraries

__all__ = ["instrument"]


def instrument() -> None:
    """Record the tasks that are sent and worked on by this process.

    Raises:
        ConfigError: Celery is not installed.

    Threads:
        Any; asked twice, does nothing.

    """
    instrument_libraries("celery")
