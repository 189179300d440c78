"""`python manage.py prepare`: what a new version of the registry needs before it runs."""

import hashlib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Migrates the database and collects the static files if they have changed."""

    help = "Migrate the database and collect the static files; does nothing when all is up to date."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run both."""
        call_command("migrate", interactive=False, verbosity=options["verbosity"])
        stamp = Path(settings.STATIC_ROOT, ".collected")
        state = _static_state()
        if not stamp.exists() or stamp.read_text() != state:
            call_command("collectstatic", interactive=False, clear=True, verbosity=0)
            stamp.write_text(state)


def _static_state() -> str:
    """A digest of the names, sizes and times of all static files."""
    digest = hashlib.sha256(str(settings.STORAGES["staticfiles"]).encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            stat = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()
