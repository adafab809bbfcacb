"""Files called torch.py, pytest.py, json.py and cohort_cli/ stand before the real ones on sys.path."""

def softmax(x, dim):
    return torch.zeros_like(x)
