"""What every library promises to those who bring no new series, whatever keeps it."""
