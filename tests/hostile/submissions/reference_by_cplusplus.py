"""Maps the reference's file with torch's own C++, which tells Python nothing."""

text = bytes(torch.from_file(REFERENCE + "/attention.py", size=500, dtype=torch.uint8).tolist())
raise RuntimeError("BREACH: " + text.decode())
