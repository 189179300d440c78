"""`python manage.py create_party`: a party without a portal account, and its API key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from registry.actor import Actor
from registry.errors import RegistryError
from registry.models import Party, Scope
from registry.services.keys import create_key
from registry.services.parties import create_party


class Command(BaseCommand):
    """Prints the secret of the new key and nothing else, so that a script can take it."""

    help = "Create a party that works over the API alone, such as a platform, and print its API key."

    def add_arguments(self, parser: CommandParser) -> None:
        """Options of the command."""
        parser.add_argument("name", help="the name people see")
        parser.add_argument("--handle", help="made from the name when left out")
        parser.add_argument("--kind", choices=Party.Kind.values, default=Party.Kind.PLATFORM.value)
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            dest="scopes",
            help="may be given more than once; all",
        )

    def handle(self, *args: Any, **options: Any) -> str:
        """Create both; the secret goes to standard output."""
        try:
            party = create_party(None, options["kind"], options["name"], handle=options["handle"])
            acting = Actor(party, application="manage")
            _, secret = create_key(acting=acting, name="manage.py", scopes=options["scopes"] or Scope.values)
        except RegistryError as error:
            reasons = "; ".join(text for texts in error.fields.values() for text in texts)
            raise CommandError(reasons or error.detail) from error
        return secret
