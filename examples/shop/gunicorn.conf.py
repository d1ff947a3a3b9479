"""gunicorn as many run it: the application loaded once, then forked.

Nothing here is for probekit: it needs no hook, no directory to wipe and no setting to
be right over several workers.
"""

import os

wsgi_app = "shop:app"
bind = os.environ.get("SHOP_BIND", "127.0.0.1:8000")
preload_app = True
workers = 2
graceful_timeout = 5
