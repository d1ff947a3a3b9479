"""A small project; what differs between tests comes from the environment."""

import json
import os

SECRET_KEY = "of a test"
DEBUG = os.environ.get("SHOP_DEBUG") == "1"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "django_shop.urls"
INSTALLED_APPS = ["django_shop", "probekit.integrations.django"]
MIDDLEWARE = [
    "probekit.integrations.django.ProbekitMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_shop.views.refuse",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SHOP_DATABASE"],
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING_CONFIG = None
USE_TZ = True
if "SHOP_PROBEKIT" in os.environ:
    PROBEKIT = json.loads(os.environ["SHOP_PROBEKIT"])
