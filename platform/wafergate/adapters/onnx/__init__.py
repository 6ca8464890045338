"""Exported models: how images enter them, how their raw output becomes boxes, how they are written."""
