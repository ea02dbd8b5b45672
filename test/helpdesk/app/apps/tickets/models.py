from django.db import models
from django.utils import timezone


class Ticket(models.Model):
    class Status(models.TextChoices):
        OPEN = "open"
        RESOLVED = "resolved"

    class Priority(models.TextChoices):
        LOW = "low"
        NORMAL = "normal"
        HIGH = "high"

    organization = models.ForeignKey(
        "organizations.Organization", on_delete=models.PROTECT, related_name="tickets", db_index=False
    )
    requester = models.ForeignKey("users.User", on_delete=models.PROTECT, related_name="tickets")
    title = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    status = models.CharField(max_length=20, choices=Status, default=Status.OPEN)
    priority = models.CharField(max_length=20, choices=Priority, default=Priority.NORMAL)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["organization", "-id"], name="ticket_newest"),
            models.Index(fields=["organization"], name="ticket_open", condition=models.Q(status="open")),
        ]

    def resolve(self) -> bool:
        """Resolves the ticket; False if it was resolved already, if only a moment ago by another request."""
        now = timezone.now()
        changed = Ticket.objects.filter(pk=self.pk, status=self.Status.OPEN).update(
            status=self.Status.RESOLVED, resolved_at=now
        )
        self.refresh_from_db()
        return changed == 1


class Comment(models.Model):
    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="comments")
    author = models.ForeignKey("users.User", on_delete=models.PROTECT, related_name="comments")
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
