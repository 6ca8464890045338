"""Frozen value objects: what the stages speak and the tables hold."""
