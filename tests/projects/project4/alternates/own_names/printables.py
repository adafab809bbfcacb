"""The 256 characters that stand for bytes, and back."""


class Printables(dict):
    """byte -> character"""

    def __init__(self):
        spare = iter(range(0x100, 0x200))
        visible = {*range(0x21, 0x7F), *range(0xA1, 0x100)} - {0xAD}
        super().__init__((byte, chr(byte if byte in visible else next(spare))) for byte in range(256))
        self.back = {character: byte for byte, character in self.items()}

    def to_bytes(self, token):
        return bytes([self.back[character] for character in token])

    def to_token(self, data):
        return "".join([self[byte] for byte in data])


PRINTABLES = Printables()
