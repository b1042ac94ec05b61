"""`python -m tf_style.app`."""

import argparse
import importlib
import os
import sys

# Of what is installed by tf_style[app].
NEEDED = ("fastapi", "python_multipart", "uvicorn")


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
    parser.add_argument("--port", type=_port, help="[the first free one from 7860]")
    parser.add_argument(
        "--no_browser", action="store_true", help="only print the page's address"
    )
    given = parser.parse_args()
    return _run(lambda server: server.serve(given.port, not given.no_browser))


def serve():
    """Serves the endpoint for other programs, `tf-style serve`; else as `main`."""
    parser = _Parser(
        prog="tf-style serve",
        description="Repaints photos that other programs send, by POST /stylize. What "
        "must be sent stands in /openapi.json. If TF_STYLE_TOKEN is set, requests must "
        "have it in their header Authorization: Bearer TOKEN.",
    )
    parser.add_argument("--port", type=_port, help="[the first free one from 8000]")
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at [this machine's own]"
    )
    given = parser.parse_args(sys.argv[2:])
    token = os.environ.get("TF_STYLE_TOKEN", "")
    return _run(lambda server: server.serve_api(given.port, given.host, token))


def _run(call):
    """Calls a function with the module `server`; returns the status if it fails."""
    try:
        for name in NEEDED:
            importlib.import_module(name)
        return call(importlib.import_module("tf_style.app.server"))
    except ModuleNotFoundError as error:
        if error.name not in NEEDED:
            raise
        reason = "the server needs FastAPI: pip install 'tf_style[app]'"
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
    except KeyboardInterrupt:  # before the server could say so itself
        return 130
    print(f"tf_style: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
