"""Has no transaction; its second operation fails on duplicates and leaves an invalid index."""

from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("odd", "0001_initial")]
    operations = [
        migrations.AddField("entry", "note", models.CharField(max_length=20, null=True)),
        migrations.RunSQL(
            "CREATE UNIQUE INDEX CONCURRENTLY odd_entry_code ON odd_entry (code)",
            "DROP INDEX CONCURRENTLY odd_entry_code",
        ),
        migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
    ]
