"""A helper file of the member's own: the alphabet as a class."""

from __future__ import annotations


class Alphabet:
    def __init__(self, letters):
        self.letters = list(letters)
        self.number_of = {}
        for letter in self.letters:
            self.number_of[letter] = len(self.number_of)

    def numbers(self, text):
        found = []
        for letter in text:
            if letter not in self.number_of:
                raise ValueError(f"{letter!r} is not in the alphabet")
            found.append(self.number_of[letter])
        return found

    def text(self, numbers):
        return "".join(self.letters[int(number)] for number in numbers)
