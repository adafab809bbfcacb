from cohort_cli.training import corpus
from cohort_cli.training.baselines import UNKNOWN, held_out
from cohort_cli.training.config import Data
def corpus_text():
    train, validation = held_out(corpus.load(), Data())
    known = set(train)
    return train, "".join(c if c in known else UNKNOWN for c in validation)
