"""tciad mirrors medical image archives and proves every image."""

__version__ = "0.2.0.dev0"
