"""The demonstration: example parties, claims and a generated LAION-like data set, end to end."""
