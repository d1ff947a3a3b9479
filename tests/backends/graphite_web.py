"""graphite-web's own render functions over a carbon's files; for the system's Python.

``python3 graphite_web.py PACKAGES`` reads ``{"carbon": FOLDER, "targets": {title:
target}}`` and writes ``{title: {line: values}}``. No web server, no drawing, and the
database of tags is in memory: it is told the series that carbon says it has made.
"""

import json
import os
import re
import sys
import tempfile
import types
import unittest.mock
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, sys.argv[1])
ASKED = json.load(sys.stdin)
FOLDER = Path(ASKED["carbon"])
SETTINGS = f"""
from graphite.settings import *
SECRET_KEY = "test"
SQLITE = "django.db.backends.sqlite3"
DATABASES = {{"default": {{"ENGINE": SQLITE, "NAME": ":memory:"}}}}
STANDARD_DIRS = ["{FOLDER}/whisper"]
CARBONLINK_HOSTS = []
LOG_DIR = "{tempfile.mkdtemp()}"
"""
MADE = re.compile(r"creating database metric (\S.*) \(archive")


def evaluated():
    """Every target's lines."""
    import django

    django.setup()
    import pytz
    from django.core.management import call_command
    from django.utils import timezone
    from graphite.render.evaluator import evaluateTarget
    from graphite.storage import STORE

    call_command("migrate", "tags", verbosity=0)
    STORE.tagdb.tag_multi_series(MADE.findall((FOLDER / "log").read_text()))
    now = timezone.now()
    context = {
        "startTime": now - timedelta(minutes=10),
        "endTime": now,
        "now": now,
        "tzinfo": pytz.utc,
        "localOnly": True,
        "template": None,
        "forwardHeaders": {},
        "sourceIdHeaders": {},
        "data": [],
        "prefetched": {},
        "xFilesFactor": 0,
        "maxDataPoints": None,
        "requestKey": None,
        "maxStep": None,
    }
    return {
        title: {
            line.name: [value for value in line if value is not None]
            for line in evaluateTarget(context, [target])
        }
        for title, target in ASKED["targets"].items()
    }


if __name__ == "__main__":
    settings = types.ModuleType("graphite_settings")
    sys.modules[settings.__name__] = settings
    sys.modules["cairo"] = unittest.mock.MagicMock()
    exec(SETTINGS, vars(settings))
    os.environ["DJANGO_SETTINGS_MODULE"] = settings.__name__
    print(json.dumps(evaluated()))
