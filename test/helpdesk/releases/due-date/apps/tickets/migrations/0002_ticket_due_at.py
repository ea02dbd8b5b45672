"""Expands the schema: the release before does not know the column, and its inserts leave it empty."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tickets", "0001_initial")]
    operations = [migrations.AddField("ticket", "due_at", models.DateTimeField(blank=True, null=True))]
