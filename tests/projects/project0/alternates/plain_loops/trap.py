import copy

import torch


def predict(model, x):
    modes = {}
    for name, module in model.named_modules():
        modes[name] = module.training
    model.eval()
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        y = model(x)
    finally:
        torch.set_grad_enabled(was)
        for name, module in model.named_modules():
            module.training = modes[name]
    return y


def require_eval(model):
    message = ""
    for name, module in model.named_modules():
        if module.training:
            message = message + " " + name
            wrong = True
    try:
        wrong
    except NameError:
        return
    raise RuntimeError("still training:" + message)


def gap(model, x):
    saved = copy.deepcopy(model.state_dict())
    half = x.shape[0] // 2
    with torch.no_grad():
        a = model(x)
        b = model(x[:half])
    model.load_state_dict(saved)
    largest = 0.0
    for row in range(half):
        for output in range(a.shape[1]):
            largest = max(largest, abs(float(a[row, output]) - float(b[row, output])))
    return largest
