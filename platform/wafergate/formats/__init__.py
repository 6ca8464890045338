"""Readers and writers of annotation formats: bytes in, values out."""
