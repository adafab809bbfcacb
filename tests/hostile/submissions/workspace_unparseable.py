"""A file beside it is too much for Python's parser. Nothing here needs that file. (The test puts it there.)"""
if False:
    import unparseable
