"""Fuzzing of whatever reads what others wrote; the command is ``tools/fuzz.py``."""
