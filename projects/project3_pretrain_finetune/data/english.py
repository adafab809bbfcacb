"""Just enough English grammar for the families about verbs: tenses, and the active and the passive voice."""

from __future__ import annotations

from dataclasses import dataclass

# lemma: (past, past participle). Every verb that is not here or below is regular.
IRREGULAR = {
    line.split()[0]: (line.split()[1], line.split()[2])
    for line in """
    beat beat beaten|begin began begun|bind bound bound|bite bit bitten|blow blew blown|break broke broken
    bring brought brought|build built built|buy bought bought|catch caught caught|choose chose chosen
    cost cost cost|cut cut cut|dig dug dug|draw drew drawn|drink drank drunk|drive drove driven|eat ate eaten
    fall fell fallen|feed fed fed|feel felt felt|find found found|fly flew flown|forecast forecast forecast
    forget forgot forgotten|forgive forgave forgiven|freeze froze frozen|give gave given|grow grew grown
    hang hung hung|hear heard heard|hide hid hidden|hit hit hit|hold held held|hurt hurt hurt|keep kept kept
    know knew known|lay laid laid|lead led led|leave left left|lend lent lent|let let let|light lit lit
    lose lost lost|make made made|meet met met|misunderstand misunderstood misunderstood
    overtake overtook overtaken|pay paid paid|put put put|read read read|rebuild rebuilt rebuilt
    ride rode ridden|ring rang rung|rise rose risen|run ran run|see saw seen|sell sold sold|send sent sent
    sew sewed sewn|shake shook shaken|shoe shod shod|show showed shown|sing sang sung|sink sank sunk|sit sat sat
    sleep slept slept|speak spoke spoken|spend spent spent|spin spun spun|stand stood stood|steal stole stolen
    sweep swept swept|swim swam swum|take took taken|teach taught taught|tell told told|think thought thought
    throw threw thrown|understand understood understood|wake woke woken|wear wore worn|win won won
    wind wound wound|write wrote written
    """.replace("\n", "|").split("|")
    if line.strip()
}
# The last letter is written twice: planned, planning; and in the second set only before -ing: running, but ran.
DOUBLED = {"ban", "cancel", "control", "drop", "knit", "plan", "stop", "travel", "trim", "wrap"}
BEFORE_ING = {"begin", "cut", "dig", "forget", "hit", "let", "put", "run", "sit", "spin", "swim", "win"}
OBJECT_FORM = {"I": "me", "He": "him", "She": "her", "We": "us", "They": "them"}


def past(lemma: str) -> str:
    return IRREGULAR[lemma][0] if lemma in IRREGULAR else _regular(lemma)


def participle(lemma: str) -> str:
    return IRREGULAR[lemma][1] if lemma in IRREGULAR else _regular(lemma)


def _regular(lemma: str) -> str:
    if lemma in DOUBLED:
        return lemma + lemma[-1] + "ed"
    if lemma.endswith("e"):
        return lemma + "d"
    if lemma.endswith("y") and lemma[-2] not in "aeiou":
        return lemma[:-1] + "ied"
    return lemma + "ed"


def third_person(lemma: str) -> str:
    if lemma.endswith("y") and lemma[-2] not in "aeiou":
        return lemma[:-1] + "ies"
    return lemma + ("es" if lemma.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def gerund(lemma: str) -> str:
    if lemma in DOUBLED | BEFORE_ING:
        return lemma + lemma[-1] + "ing"
    return (lemma[:-1] if lemma.endswith("e") and lemma not in {"see", "dye", "shoe"} else lemma) + "ing"


@dataclass(frozen=True)
class Sentence:
    """Who does what to whom: read from a line such as "The river | flood | future | *the lower fields | in spring"."""

    subject: str
    subject_is_plural: bool
    verb: str  # may carry a particle: "switch off"
    tense: str
    object: str
    object_is_plural: bool
    rest: str
    rest_before_agent: bool

    @classmethod
    def from_line(cls, line: str) -> Sentence:
        subject, verb, tense, thing, *rest = (part.strip() for part in line.split("|"))
        tail = rest[0] if rest else ""
        return cls(
            subject.lstrip("*"),
            subject.startswith("*") or subject in {"I", "We", "They"},
            verb,
            tense,
            thing.lstrip("*"),
            thing.startswith("*"),
            tail.lstrip("^"),
            tail.startswith("^"),
        )

    def active(self) -> str:
        lemma, _, particle = self.verb.partition(" ")
        is_plural = self.subject_is_plural
        match self.tense:
            case "past":
                verb = past(lemma)
            case "present":
                verb = lemma if is_plural else third_person(lemma)
            case "future":
                verb = f"will {lemma}"
            case "present perfect":
                verb = f"{'have' if is_plural else 'has'} {participle(lemma)}"
            case "past perfect":
                verb = f"had {participle(lemma)}"
            case "present progressive":
                verb = f"{'are' if is_plural else 'is'} {gerund(lemma)}"
            case "past progressive":
                verb = f"{'were' if is_plural else 'was'} {gerund(lemma)}"
            case _:
                verb = f"{_modal(self.tense)} {lemma}"
        return _sentence(self.subject, verb, particle, self.object, self.rest)

    def passive(self) -> str:
        lemma, _, particle = self.verb.partition(" ")
        is_plural = self.object_is_plural
        match self.tense:
            case "past":
                be = "were" if is_plural else "was"
            case "present":
                be = "are" if is_plural else "is"
            case "future":
                be = "will be"
            case "present perfect":
                be = "have been" if is_plural else "has been"
            case "past perfect":
                be = "had been"
            case "present progressive":
                be = "are being" if is_plural else "is being"
            case "past progressive":
                be = "were being" if is_plural else "was being"
            case _:
                be = f"{_modal(self.tense)} be"
        agent = OBJECT_FORM.get(self.subject, self.subject[0].lower() + self.subject[1:])
        end = (self.rest, f"by {agent}") if self.rest_before_agent else (f"by {agent}", self.rest)
        return _sentence(self.object, be, participle(lemma), particle, *end)


def _modal(word: str) -> str:
    if word not in {"can", "may", "must", "should"}:
        raise ValueError(f"no tense or modal verb: {word!r}")
    return word


def _sentence(*parts: str) -> str:
    text = " ".join(part for part in parts if part)
    return text[0].upper() + text[1:] + "."
