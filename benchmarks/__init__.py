"""What tciad costs, beside the other ways to fetch the same series. Nothing here is part of the package or of its tests."""
