"""The container image, and the files that tell others how to run and watch it."""
