"""`python -m downloader` and the command `tciad`."""

import gc
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    gc.disable()  # nothing of what is imported is ever garbage: to look for it takes a tenth of a second
    from downloader.cli.app import run_command_line  # noqa: PLC0415 - see the line above

    gc.freeze()
    gc.enable()
    sys.exit(run_command_line(sys.argv[1:]))


if __name__ == "__main__":
    main()
