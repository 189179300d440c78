"""The forms of django-allauth with labels instead of placeholders, which vanish while one writes."""

from typing import Any

from allauth.account import forms as allauth
from django.utils.translation import gettext_lazy as _

__all__ = [
    "AddEmailForm",
    "ConfirmEmailForm",
    "ConfirmLoginForm",
    "LoginForm",
    "RequestCodeForm",
    "SignupForm",
]

_LABELS = {"login": _("E-mail address"), "email": _("E-mail address"), "code": _("The code from the mail")}


class _Labelled:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields = self.fields  # type: ignore[attr-defined]
        for name, field in fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = _LABELS.get(name, field.label)


class LoginForm(_Labelled, allauth.LoginForm):  # type: ignore[misc]
    """Asks for the e-mail address."""


class SignupForm(_Labelled, allauth.SignupForm):  # type: ignore[misc]
    """Asks for the e-mail address."""


class RequestCodeForm(_Labelled, allauth.RequestLoginCodeForm):  # type: ignore[misc]
    """Asks for the e-mail address."""


class ConfirmLoginForm(_Labelled, allauth.ConfirmLoginCodeForm):  # type: ignore[misc]
    """Asks for the code."""


class ConfirmEmailForm(_Labelled, allauth.ConfirmEmailVerificationCodeForm):  # type: ignore[misc]
    """Asks for the code."""


class AddEmailForm(_Labelled, allauth.AddEmailForm):  # type: ignore[misc]
    """Asks for one more address."""
