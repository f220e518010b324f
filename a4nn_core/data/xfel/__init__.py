"""Simulated X-ray free-electron laser diffraction patterns of single proteins."""
