"""drf-chunked-upload as its own README sets it up, with two users who log in by token."""

import datetime
import os
import pathlib

import django
from django.conf import settings

folder = pathlib.Path(os.environ["PEER_FOLDER"])
max_bytes = os.environ.get("PEER_MAX_BYTES")
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": folder / "db.sqlite3",
            "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DRF_CHUNKED_UPLOAD_ABSTRACT_MODEL=False,
    DRF_CHUNKED_UPLOAD_EXPIRATION_DELTA=datetime.timedelta(seconds=int(os.environ["PEER_EXPIRATION_SECONDS"])),
    DRF_CHUNKED_UPLOAD_MAX_BYTES=int(max_bytes) if max_bytes else None,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "rest_framework",
        "rest_framework.authtoken",
        "drf_chunked_upload",
    ],
    MEDIA_ROOT=folder / "media",
    MEDIA_URL="/",
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.TokenAuthentication"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="of the tests",
    TIME_ZONE="UTC",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connections  # noqa: E402
from django.urls import path  # noqa: E402
from drf_chunked_upload.views import ChunkedUploadView  # noqa: E402
from rest_framework.authtoken.models import Token  # noqa: E402

urlpatterns = [
    path("uploads/", ChunkedUploadView.as_view(), name="chunkedupload-list"),
    path("uploads/<uuid:pk>", ChunkedUploadView.as_view(), name="chunkedupload-detail"),
]

call_command("migrate", run_syncdb=True, verbosity=0)
for number in (1, 2):
    user, _ = User.objects.get_or_create(id=number, username=f"user{number}")
    Token.objects.get_or_create(user=user, key=f"token{number}")
# Each worker must open its own connections.
connections.close_all()

application = get_wsgi_application()
