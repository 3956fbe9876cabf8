"""The command as its users meet it: a process with arguments, output, files and an exit code."""
