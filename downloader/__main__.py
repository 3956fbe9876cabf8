"""`python -m downloader` and the command `tciad`."""

import gc
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    arguments = sys.argv[1:]
    gc.disable()  # nothing of what is imported is ever garbage: to look for it takes a tenth of a second, and again at the end
    from downloader.cli.app import make_app, run_command_line  # noqa: PLC0415 - see the line above

    app = make_app(arguments)
    gc.freeze()
    gc.enable()
    sys.exit(run_command_line(app, arguments))


if __name__ == "__main__":
    main()
