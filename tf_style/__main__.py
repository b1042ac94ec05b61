"""`python -m tf_style`."""

from absl import flags

from tf_style import cli

if __name__ == "__main__":
    # absl's --help shows the flags of the main module only.
    flags.adopt_module_key_flags(cli)
    cli.main()
