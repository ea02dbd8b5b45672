"""The organization that the first users belong to.

No user is made here: an administrator is made by `createsuperuser`, with a password that is in no file.
"""

from django.db import migrations


def create(apps, schema_editor):
    Organization = apps.get_model("organizations", "Organization")
    Organization.objects.using(schema_editor.connection.alias).get_or_create(
        slug="default",
        defaults={"name": "Default Organization", "description": "The organization of users without another"},
    )


def remove(apps, schema_editor):
    # With users or tickets in it the database refuses, and nothing is lost.
    Organization = apps.get_model("organizations", "Organization")
    Organization.objects.using(schema_editor.connection.alias).filter(slug="default").delete()


class Migration(migrations.Migration):
    dependencies = [("organizations", "0001_initial")]
    operations = [migrations.RunPython(create, remove)]
