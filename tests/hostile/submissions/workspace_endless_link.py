"""A link to a file without end, and one to itself. (The test puts them there.)"""
