from cohort_cli.training.runs import RunFolder


def write_report(folder: RunFolder) -> None:
    pass
