from django.db import migrations


class Migration(migrations.Migration):
    dependencies = []
    operations = [
        migrations.RunSQL("CREATE TABLE slow_trace (id integer)", "DROP TABLE slow_trace"),
        migrations.RunSQL("SELECT pg_sleep(60)", migrations.RunSQL.noop),
    ]
