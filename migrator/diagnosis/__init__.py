"""Diagnosis: every check that can be made without changing anything, each with what to do about it."""
