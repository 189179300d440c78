"""The Optout Registry's library: match data against consent claims, filter data sets, prove it."""
