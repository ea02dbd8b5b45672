from django.db import models


class FeatureCategory(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name


class Feature(models.Model):
    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=200)
    category = models.ForeignKey(FeatureCategory, on_delete=models.PROTECT, related_name="features")
    is_active = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.slug
