"""A Django REST framework service that believes our tokens: `django_service.py KEY_SET ISSUER ALGORITHM TOKEN…`.

djangorestframework-simplejwt is set up as its documentation has it for tokens of another service. Prints status and body
of the answer to each token, a JSON list a line.
"""
import json
import sys

import django
from django.conf import settings

key_set, issuer, algorithm, *tokens = sys.argv[1:]
settings.configure(
    SECRET_KEY="of this test alone",
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "rest_framework_simplejwt"],
    ROOT_URLCONF=__name__,
    SIMPLE_JWT={"ALGORITHM": algorithm, "JWK_URL": key_set, "ISSUER": issuer, "VERIFYING_KEY": "", "SIGNING_KEY": ""},
)
django.setup()

from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.permissions import IsAuthenticated  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402
from rest_framework_simplejwt.authentication import JWTStatelessUserAuthentication  # noqa: E402


class Me(APIView):
    """Who asks."""
    authentication_classes = [JWTStatelessUserAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request):
        """The id in the token, without a database."""
        return Response({"id": request.user.id, "first_name": request.auth.get("first_name")})


urlpatterns = [path("me/", Me.as_view())]

for token in tokens:
    answer = Client().get("/me/", headers={"authorization": f"Bearer {token}"})
    print(json.dumps([answer.status_code, answer.json()]))
