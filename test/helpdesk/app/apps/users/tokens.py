"""API tokens: the user's id, signed with SECRET_KEY, so that every version and slot accepts them."""

from django.conf import settings
from django.core import signing

from apps.users.models import User

SALT = "helpdesk.api-token"


def issue(user: User) -> str:
    return signing.dumps(user.pk, salt=SALT)


def user_of(token: str) -> User | None:
    """The active user the token was issued to; None if it is forged, too old, or the user is gone."""
    try:
        pk = signing.loads(token, salt=SALT, max_age=settings.API_TOKEN_MAX_AGE)
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=pk, is_active=True).first()
