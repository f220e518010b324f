"""Networks that people have designed, as a search space: the yardstick of every search."""
