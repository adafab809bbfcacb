"""Changes the kit's own code."""
import cohort_cli

open(cohort_cli.__file__, "a").write("\n")
raise RuntimeError("BREACH: written")
