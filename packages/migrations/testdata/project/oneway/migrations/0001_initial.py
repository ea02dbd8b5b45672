from django.db import migrations


def nothing(apps, schema_editor):
    pass


class Migration(migrations.Migration):
    dependencies = []
    operations = [migrations.RunPython(nothing)]
