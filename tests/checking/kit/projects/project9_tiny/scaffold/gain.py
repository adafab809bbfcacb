from torch import nn


class Gain(nn.Module):
    def __init__(self, d_model):
        raise NotImplementedError("gain: Gain")
