"""The flags the application knows, in their categories; and the way back."""

from django.db import migrations

CATEGORIES = {
    "AI": "AI and Machine Learning",
    "Analytics": "Analytics and Reporting",
    "Communication": "Communication Features",
    "Security": "Security Features",
}
FEATURES = {
    "AI_ML_FEATURES": ("AI/ML Features", "AI"),
    "ADVANCED_ANALYTICS": ("Advanced Analytics", "Analytics"),
    "REAL_TIME_NOTIFICATIONS": ("Real-time Notifications", "Communication"),
    "ADVANCED_SECURITY": ("Advanced Security", "Security"),
}


def create(apps, schema_editor):
    alias = schema_editor.connection.alias
    categories = apps.get_model("features", "FeatureCategory").objects.using(alias)
    features = apps.get_model("features", "Feature").objects.using(alias)
    for slug, name in CATEGORIES.items():
        categories.get_or_create(slug=slug, defaults={"name": name})
    for slug, (name, category) in FEATURES.items():
        features.get_or_create(
            slug=slug, defaults={"name": name, "category": categories.get(slug=category), "is_active": True}
        )


def remove(apps, schema_editor):
    alias = schema_editor.connection.alias
    apps.get_model("features", "Feature").objects.using(alias).filter(slug__in=FEATURES).delete()
    # A category that holds a flag of somebody else's stays.
    apps.get_model("features", "FeatureCategory").objects.using(alias).filter(
        slug__in=CATEGORIES, features=None
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("features", "0001_initial")]
    operations = [migrations.RunPython(create, remove)]
