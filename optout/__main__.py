"""`python -m optout` is the `optout` command."""

from optout.cli import main

main()
