"""Figures, side by side."""
