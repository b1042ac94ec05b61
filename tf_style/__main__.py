"""`python -m tf_style`."""

import sys

if __name__ == "__main__":
    try:
        from absl import flags

        from tf_style import cli

        # absl's --help shows the flags of the main module only.
        flags.adopt_module_key_flags(cli)
        cli.main()
    except KeyboardInterrupt:  # before the program could say so itself
        sys.exit(130)
