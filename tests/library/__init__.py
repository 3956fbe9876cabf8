"""The library: names, receipts, staging, and the tree on a real file system."""
