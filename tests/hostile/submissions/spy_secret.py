"""Reads a file of the user's and prints it."""

raise RuntimeError("BREACH: " + open(SECRET).read())
