"""Users, the parties they act for, and the memberships between them."""

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from registry.identifiers import uuid7

__all__ = ["HANDLE_PATTERN", "Membership", "Party", "PartyQuerySet", "User", "UserManager"]

HANDLE_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"


class UserManager(BaseUserManager["User"]):
    """Makes users by e-mail address; addresses are kept in lower case."""

    use_in_migrations = True

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A new user; without a password only e-mail codes and passkeys sign in."""
        if not email:
            raise ValueError("a user needs an e-mail address")
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """A new user who may do everything in the admin, and proves her address as she first signs in."""
        user = self.create_user(email, password, is_staff=True, is_superuser=True, **fields)
        user.note_address()
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in; what she owns belongs to a party."""

    email = models.EmailField(_("e-mail address"), unique=True)
    is_staff = models.BooleanField(_("staff"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(_("joined"), auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")
        constraints = [
            models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower_case"),
            models.CheckConstraint(condition=~Q(email=""), name="user_email_not_empty"),
        ]

    def __str__(self) -> str:
        return self.email

    def clean(self) -> None:
        super().clean()
        self.email = self.email.lower()

    def note_address(self) -> None:
        """Let the code of the first sign-in prove the address; without this one more would be asked for."""
        from allauth.account.models import EmailAddress  # its models need this one

        EmailAddress.objects.get_or_create(user=self, email=self.email, defaults={"primary": True})


class PartyQuerySet(models.QuerySet["Party"]):
    """Reads of parties."""

    def of_user(self, user: User) -> "PartyQuerySet":
        """The parties `user` may act for, the oldest first."""
        return self.filter(memberships__user=user).order_by("id")


class Party(models.Model):
    """A person or organisation that makes claims; a platform also speaks for creators."""

    class Kind(models.TextChoices):
        PERSON = "person", _("person")
        ORGANISATION = "organisation", _("organisation")
        PLATFORM = "platform", _("platform")

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.PERSON)
    handle = models.CharField(
        max_length=63, unique=True, help_text=_("Lower-case letters, digits and hyphens.")
    )
    display_name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PartyQuerySet.as_manager()

    class Meta:
        verbose_name = _("party")
        verbose_name_plural = _("parties")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["person", "organisation", "platform"]), name="party_kind_known"
            ),
            models.CheckConstraint(condition=Q(handle__regex=HANDLE_PATTERN), name="party_handle_format"),
            models.CheckConstraint(condition=~Q(display_name=""), name="party_display_name_not_empty"),
        ]

    def __str__(self) -> str:
        return self.handle


class Membership(models.Model):
    """That a user may act for a party."""

    class Role(models.TextChoices):
        OWNER = "owner", _("owner")
        MEMBER = "member", _("member")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    party = models.ForeignKey(Party, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.OWNER)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [
            models.UniqueConstraint(fields=["user", "party"], name="membership_user_party_unique"),
            models.CheckConstraint(condition=Q(role__in=["owner", "member"]), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.party}"
