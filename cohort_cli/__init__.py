"""Cohort: a kit for a study group that builds a language model from first principles."""

__version__ = "0.1.0"
