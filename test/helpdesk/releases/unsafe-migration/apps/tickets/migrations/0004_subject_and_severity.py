"""What no migration should do while another release serves: it is here to be refused.

The column `title` becomes `subject`, which breaks every query of the release before. `severity` is NOT NULL and
keeps no default in the database, which breaks its inserts. And there is no way back, for the data has no reverse.
"""

from django.db import migrations, models


def set_severity(apps, schema_editor):
    tickets = apps.get_model("tickets", "Ticket").objects.using(schema_editor.connection.alias)
    tickets.filter(priority="high").update(severity=1)


class Migration(migrations.Migration):
    dependencies = [("tickets", "0003_backfill_due_at")]
    operations = [
        migrations.AlterField("ticket", "title", models.CharField(db_column="subject", max_length=200)),
        migrations.AddField("ticket", "severity", models.IntegerField(default=3)),
        migrations.RunPython(set_severity),
    ]
