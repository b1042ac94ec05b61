"""`python -m tf_style`, and the console command `tf-style`."""

import sys


def main() -> None:
    """Runs the program, which exits."""
    try:
        if sys.argv[1:2] == ["serve"]:
            from tf_style.app.__main__ import serve

            sys.exit(serve())
        from tf_style.cli.main import main as program

        program()
    except KeyboardInterrupt:  # before the program could say so itself
        sys.exit(130)


if __name__ == "__main__":
    main()
