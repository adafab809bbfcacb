"""A named pipe in the workspace: whoever reads it waits for ever. (The test puts it there.)"""
