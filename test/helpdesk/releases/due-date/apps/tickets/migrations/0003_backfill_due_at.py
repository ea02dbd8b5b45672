"""Gives the open tickets a due date: five days after they were created.

In batches, each a transaction of its own, so that no row is locked for long while both releases serve. Run again
after an interruption it goes on where it stopped.
"""

from datetime import timedelta

from django.db import migrations, models

BATCH = 1000


def backfill(apps, schema_editor):
    tickets = apps.get_model("tickets", "Ticket").objects.using(schema_editor.connection.alias)
    waiting = tickets.filter(status="open", due_at=None)
    while batch := list(waiting.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        waiting.filter(pk__in=batch).update(due_at=models.F("created_at") + timedelta(days=5))


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("tickets", "0002_ticket_due_at")]
    # On the way back there is nothing to undo: the column goes with the migration that added it.
    operations = [migrations.RunPython(backfill, migrations.RunPython.noop)]
