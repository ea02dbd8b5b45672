from django.core.management.base import BaseCommand, CommandError

from apps.organizations.models import Organization
from apps.users import tokens
from apps.users.models import User


class Command(BaseCommand):
    help = "Prints an API token of a user; with --create, makes the user first if there is none."

    def add_arguments(self, parser):
        parser.add_argument("email")
        parser.add_argument("--create", action="store_true")
        parser.add_argument(
            "--organization", default="default", help="slug, for --create (default: %(default)s)"
        )

    def handle(self, *, email: str, create: bool, organization: str, **_):
        user = User.objects.filter(email=User.objects.normalize_email(email)).first()
        if user is None and not create:
            raise CommandError(f"there is no user {email}: create it with --create")
        if user is None:
            home = Organization.objects.filter(slug=organization).first()
            if home is None:
                raise CommandError(f"there is no organization {organization}")
            user = User.objects.create_user(email, organization=home)
        self.stdout.write(tokens.issue(user))
