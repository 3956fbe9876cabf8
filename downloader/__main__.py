"""`python -m downloader` and the command `tciad`."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    arguments = sys.argv[1:]
    gc.disable()  # imports create no garbage, and collections during them take a tenth of a second
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        # no work has begun that would need an orderly end, and a traceback of an import would not help
        signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    from downloader.cli.streams import take_streams  # noqa: PLC0415 - all imports below are what takes the time

    take_streams()
    from downloader.cli.app import make_app, run_command_line  # noqa: PLC0415

    app = make_app(arguments)
    signal.signal(signal.SIGINT, before)
    gc.freeze()
    gc.enable()
    sys.exit(run_command_line(app, arguments))


if __name__ == "__main__":
    main()
