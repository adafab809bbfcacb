import contextlib
import copy

import torch


@contextlib.contextmanager
def asleep(model):
    """Everything in evaluation mode for a while."""
    awake = [part for part in model.modules() if part.training]
    for part in awake:
        part.training = False
    try:
        yield
    finally:
        for part in awake:
            part.training = True


def predict(model, x):
    with asleep(model), torch.no_grad():
        answer = model(x)
    return answer


class ForgottenEval(RuntimeError):
    pass


def require_eval(model):
    awake = {name: part for name, part in model.named_modules() if part.training}
    if len(awake) > 0:
        raise ForgottenEval("\n".join(f"{name} ({type(part).__name__})" for name, part in awake.items()))


def gap(model, x):
    twin = copy.deepcopy(model)
    half = x.size(0) // 2
    together = twin(x).detach()[:half]
    alone = twin(x[:half]).detach()
    return max(abs(d) for d in (together - alone).flatten().tolist())
