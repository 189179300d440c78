"""How pictures are decoded and hashed; `optout.hashes` is the way in."""
