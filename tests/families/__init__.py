"""Shipped tables: how they are recorded, and that they say what live builds say."""
