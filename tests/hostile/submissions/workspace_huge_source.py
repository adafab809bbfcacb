"""A file beside it has 400,000 lines; its syntax tree would take 1 GB. (The test puts it there.)"""
if False:
    import lines
