"""What a person or a program sees of a run: progress, reports, logs."""
