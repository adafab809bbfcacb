"""Where `cohort`, and `python -m cohort_cli`, begin."""

import sys


def main() -> None:
    """Run the program. Ctrl-C while it is still being loaded ends it as quietly as later on."""
    try:
        from cohort_cli.app import main as program
    except KeyboardInterrupt:
        sys.exit(130)
    program()


if __name__ == "__main__":
    main()
