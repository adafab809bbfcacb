import math


def zeros(rows, columns):
    return [[0.0] * columns for _ in range(rows)]


def forward(x, w1, b1, w2, b2):
    N, I, H, O = len(x), len(w1), len(b1), len(b2)
    z, h, out = zeros(N, H), zeros(N, H), zeros(N, O)
    for n in range(N):
        for j in range(H):
            z[n][j] = b1[j]
            for i in range(I):
                z[n][j] += x[n][i] * w1[i][j]
            h[n][j] = math.tanh(z[n][j])
        for o in range(O):
            out[n][o] = b2[o]
            for j in range(H):
                out[n][o] += h[n][j] * w2[j][o]
    return {"z": z, "h": h, "out": out}


def squared_error(out, y):
    total = 0.0
    for n in range(len(y)):
        for o in range(len(y[n])):
            total += (out[n][o] - y[n][o]) * (out[n][o] - y[n][o])
    return total / len(y)


def gradients(x, y, w1, b1, w2, b2):
    """Example by example; the gradients of weights and biases grow on the way."""
    N, I, H, O = len(x), len(w1), len(b1), len(b2)
    steps = forward(x, w1, b1, w2, b2)
    g = {"out": zeros(N, O), "h": zeros(N, H), "z": zeros(N, H), "x": zeros(N, I)}
    g["w1"], g["w2"], g["b1"], g["b2"] = zeros(I, H), zeros(H, O), [0.0] * H, [0.0] * O
    for n in range(N):
        for o in range(O):
            d = 2.0 * (steps["out"][n][o] - y[n][o]) / N
            g["out"][n][o] = d
            g["b2"][o] += d
            for j in range(H):
                g["w2"][j][o] += d * steps["h"][n][j]
                g["h"][n][j] += d * w2[j][o]
        for j in range(H):
            d = g["h"][n][j] * (1.0 - math.tanh(steps["z"][n][j]) ** 2)
            g["z"][n][j] = d
            g["b1"][j] += d
            for i in range(I):
                g["w1"][i][j] += d * x[n][i]
                g["x"][n][i] += d * w1[i][j]
    return g
