from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0002_price")]
    operations = [
        migrations.AlterField("item", "name", models.CharField(max_length=100)),
    ]
