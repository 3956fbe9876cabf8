"""Benchmarks of tciad and of other programs that fetch the same series. Not part of the package or of its tests."""
