"""Rewrites the acceptance tests, so that they ask for nothing."""

open(PROJECT + "/acceptance/test_attention.py", "a").write("\n")
raise RuntimeError("BREACH: rewritten")
