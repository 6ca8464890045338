"""The generated sample line: die images with golden references, drawn by code, free of anybody's licence."""
