"""sitecustomize.py, usercustomize.py and a .pth file run code in every Python that finds them."""

def softmax(x, dim):
    return torch.zeros_like(x)
