"""Where `cohort`, and `python -m cohort_cli`, begin."""

import os
import sys


def main() -> None:
    """Run the program. Ctrl-C while it is still being loaded ends it as quietly as later on."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # whoever started us closed it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    try:
        from cohort_cli.app import main as program
    except KeyboardInterrupt:
        sys.exit(130)
    program()


if __name__ == "__main__":
    main()
