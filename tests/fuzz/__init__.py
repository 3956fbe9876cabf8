"""Fuzzing by coverage, with atheris: `make fuzz`. Whatever comes in, nothing but our own errors comes out."""
