"""What a deposit is made of: its files, what they say, and the way back into a commons."""
