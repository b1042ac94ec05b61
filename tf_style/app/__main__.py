"""`python -m tf_style.app`."""

import argparse
import sys


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as the command line does: in one line, with status 1."""

    def error(self, message):
        self.exit(1, f"tf_style: {message}; see --help\n")


def _port(text):
    if not (text.isdecimal() and 0 < int(text) < 1 << 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 65535")
    return int(text)


def main():
    """Serves the page until Ctrl-C; returns the exit status."""
    parser = _Parser(
        prog="python -m tf_style.app",
        description="Opens a page in the browser that repaints photos.",
    )
    parser.add_argument(
        "--port", type=_port, help="of 127.0.0.1 [the first free one from 7860]"
    )
    parser.add_argument(
        "--no_browser", action="store_true", help="only print the page's address"
    )
    arguments = parser.parse_args()
    try:
        from tf_style.app import server

        return server.serve(arguments.port, not arguments.no_browser)
    except ModuleNotFoundError as error:
        if error.name not in ("fastapi", "uvicorn"):
            raise
        reason = "the page needs FastAPI: pip install 'tf_style[app]'"
    except OSError as error:
        reason = " ".join(str(error).split())
    except KeyboardInterrupt:  # before the server could say so itself
        return 130
    print(f"tf_style: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
