"""Rounding: codes chosen column by column, later columns making up for earlier ones."""
