"""The command line: one file per group of verbs; errors become exit codes here and nowhere else."""
