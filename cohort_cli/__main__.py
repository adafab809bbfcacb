"""`python -m cohort_cli` is the same program as `cohort`."""

from cohort_cli.app import main

if __name__ == "__main__":
    main()
