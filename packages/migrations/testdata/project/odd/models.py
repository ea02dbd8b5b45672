from django.db import models


class Entry(models.Model):
    code = models.CharField(max_length=20)
    note = models.CharField(max_length=20, null=True)
