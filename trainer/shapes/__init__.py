"""A world small enough to learn in minutes: coloured shapes by invented artists, one of whom opts out."""
