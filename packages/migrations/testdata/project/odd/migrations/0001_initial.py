from django.db import migrations, models


def fill(apps, schema_editor):
    Entry = apps.get_model("odd", "Entry")
    Entry.objects.bulk_create(Entry(code="twice") for _ in range(2))


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.CreateModel(
            "Entry",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("code", models.CharField(max_length=20)),
            ],
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
