"""Interchange: other people's histories into a commons, and its tables into other people's formats."""
