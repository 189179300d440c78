"""The views, by what they show: public pages, claims, keys and imports, the account."""
