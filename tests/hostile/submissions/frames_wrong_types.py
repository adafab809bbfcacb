"""Every field of an answer has a type that nobody expects."""
import json, os, stat, struct, time

channels = []
for fd in range(256):
    try:
        if stat.S_ISSOCK(os.fstat(fd).st_mode):
            channels.append(fd)
    except OSError:
        pass

def send(message, raw=b""):
    text = message if isinstance(message, bytes) else json.dumps(message).encode()
    push(struct.pack(">IQ", len(text), len(raw)) + text + raw)

def push(data):
    for fd in channels:
        rest = data
        while rest:
            try:
                rest = rest[os.write(fd, rest):]
            except BlockingIOError:
                time.sleep(0.01)

def request_id():
    """The number of the request that is being answered."""
    import sys
    frame = sys._getframe()
    while frame is not None:
        request = frame.f_locals.get("request")
        if isinstance(request, dict) and "id" in request:
            return request["id"]
        frame = frame.f_back

def softmax(x, dim):
    send({"id": request_id(), "value": {"$": []}, "tensors": {"a": 1}, "where": 7, "broke": "x", "error": []})
    return torch.zeros_like(x)
