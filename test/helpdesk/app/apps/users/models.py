from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone


class UserManager(BaseUserManager):
    def create_user(self, email: str, organization=None, password: str | None = None, **fields):
        """Without a password the user can use API tokens only."""
        if not email:
            raise ValueError("a user needs an email address")
        user = self.model(email=self.normalize_email(email), organization=organization, **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields):
        return self.create_user(email, password=password, is_staff=True, is_superuser=True, **fields)

    def recently_active(self):
        return self.filter(is_active=True, last_seen_at__gte=timezone.now() - timedelta(minutes=15))


class User(AbstractBaseUser, PermissionsMixin):
    email = models.EmailField(unique=True)
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    # A superuser need not belong to an organization.
    organization = models.ForeignKey(
        "organizations.Organization", null=True, blank=True, on_delete=models.PROTECT, related_name="users"
    )
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    last_seen_at = models.DateTimeField(null=True, blank=True, db_index=True)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"

    objects = UserManager()

    def seen(self) -> None:
        """Notes that the user is active; to the minute, to spare a write at every request."""
        now = timezone.now()
        if self.last_seen_at is None or now - self.last_seen_at > timedelta(minutes=1):
            User.objects.filter(pk=self.pk).update(last_seen_at=now)
