"""Input: shards that the receipt covers, read in a shuffled order that a killed run can take up again."""
