#!/usr/bin/env python3
"""A backend of real Django REST framework on the database that avain keeps: what the stand-in imitates.

    drf_site.py --listen 127.0.0.1:PORT         or a WSGI server with drf_site:application

Environment: DRF_DATABASE (the SQLite file), DRF_KEY_FILE (the key of phantom tokens, or of Simple JWT's), DRF_AUTHENTICATION:
`avain` (deploy/django/avain_authentication.py, the default), `simplejwt`, or `token` (API keys), DRF_HEADER (where phantom tokens come).
"""
import os
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy" / "django"))

CLASSES = {"avain": "avain_authentication.AvainAuthentication",
           "simplejwt": "rest_framework_simplejwt.authentication.JWTAuthentication",
           "token": "rest_framework.authentication.TokenAuthentication"}
KIND = os.environ.get("DRF_AUTHENTICATION", "avain")
KEY = Path(os.environ["DRF_KEY_FILE"]).read_text().strip()

settings.configure(
    SECRET_KEY=KEY, DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "rest_framework.authtoken"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DRF_DATABASE"], "CONN_MAX_AGE": None}},
    AVAIN={"KEY": KEY, "HEADER": os.environ.get("DRF_HEADER", "Authorization")},
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": [CLASSES[KIND]],
                    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
                    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"]})
django.setup()

from rest_framework.decorators import api_view, permission_classes  # noqa: E402  (needs the settings)
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402


@api_view(["GET", "POST"])
def hobbies(request):
    """Says who asks."""
    return Response({"as": request.user.username or None})


@api_view(["GET"])
@permission_classes([IsAuthenticated])
def check(request):
    """What `auth_request` would ask of a Django that checks tokens itself."""
    return Response(status=204)


urlpatterns = [path("api/hobbies/", hobbies), path("api/v1/hobbies/", hobbies), path("check/", check)]
if KIND == "simplejwt":
    from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView
    urlpatterns += [path("token/", TokenObtainPairView.as_view()), path("token/refresh/", TokenRefreshView.as_view())]
application = get_wsgi_application()


def main():
    from wsgiref.simple_server import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_message(self, format, *args):
            """Nothing."""

    host, port = sys.argv[sys.argv.index("--listen") + 1].rsplit(":", 1)
    make_server(host, int(port), application, handler_class=Quiet).serve_forever()


if __name__ == "__main__":
    main()
