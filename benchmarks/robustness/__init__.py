"""How well pictures are found after they were edited, and how often others are taken for them."""
