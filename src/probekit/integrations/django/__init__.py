"""Django: every request timed and counted, with its database time, and commands.

```python
MIDDLEWARE = ["probekit.integrations.django.ProbekitMiddleware", ...]  # first
INSTALLED_APPS = [..., "probekit.integrations.django"]  # for management commands
PROBEKIT = {"service": "shop", "exporters": ["otlp://127.0.0.1:4318"]}
```

The middleware works under WSGI and ASGI. Never changes an answer.
"""

from probekit.integrations.django.middleware import ProbekitMiddleware

__all__ = ["ProbekitMiddleware"]
