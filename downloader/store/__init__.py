"""The state database: the one queue of the program."""
