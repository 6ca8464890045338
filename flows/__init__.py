"""Prefect flows: each reads as what a line does, and each task is one call."""
