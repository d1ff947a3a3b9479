"""Starts probekit in programs that do not import it: what ``probekit run`` leans on.

The launcher puts settings and the folder ``hook`` into the environment; every Python
that inherits it runs ``hook/sitecustomize.py`` before its program, and that calls
:func:`start`. Nothing here raises into a program, and a program's own
``sitecustomize`` runs as before.
"""

from probekit.autostart.environment import HOOK, environment_for
from probekit.autostart.start import start

__all__ = ["HOOK", "environment_for", "start"]
