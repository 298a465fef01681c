"""How people write names and addresses when nobody checks."""

from __future__ import annotations

import random

#: Country -> the legal forms of companies there.
LEGAL_FORMS = {
    "US": ("Inc.", "LLC", "Corp."),
    "GB": ("Ltd", "Limited", "PLC"),
    "IE": ("Ltd", "Limited"),
    "DE": ("GmbH", "AG"),
    "FR": ("SAS", "SARL"),
    "NL": ("B.V.", "BV"),
}
SHORT = {
    "Analytics": "Analyt.",
    "Energy": "Energ.",
    "Insurance": "Ins.",
    "Learning": "Learn.",
    "Logistics": "Log.",
    "Materials": "Mat.",
    "Mobility": "Mob.",
    "Printing": "Print.",
    "Robotics": "Robot.",
    "Security": "Sec.",
    "Studios": "Stud.",
    "Systems": "Sys.",
    "Textiles": "Tex.",
}
#: A letter's neighbours on the keyboard.
NEAR = dict(zip("abcdefghijklmnopqrstuvwxyz", "svxfrghjokklnmpowtayicqztx", strict=True))
FREE = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com")


def typo(text: str, rng: random.Random) -> str:
    """One slip inside a word: two letters swapped, one left out, doubled, or its neighbour's."""
    if len(text) < 3:
        return text + text[-1]
    place = rng.randrange(1, len(text) - 1)
    letter, after = text[place], text[place + 1]
    slips = [text[:place] + text[place + 1 :], text[:place] + letter + text[place:]]
    slips.append(text[:place] + NEAR.get(letter, "e") + text[place + 1 :])
    if letter != after:
        slips.append(text[:place] + after + letter + text[place + 2 :])
    return rng.choice([slip for slip in slips if slip != text])


def legal_name(name: str, country: str | None, rng: random.Random) -> str:
    """A company's name with its legal form, sometimes all in capitals or in small letters."""
    full = f"{name}{rng.choice((' ', ', '))}{rng.choice(LEGAL_FORMS[country or 'US'])}"
    return rng.choice((full, full, full.upper(), name.upper(), name.lower()))


def loose_name(name: str, country: str | None, rng: random.Random) -> str:
    """A company's name as somebody remembers it: shortened, misspelt, run together."""
    first, *rest = name.split()
    ways = [f"{typo(first, rng)} {' '.join(rest)}", f"{first}{'-'.join(rest)}", f"The {name}"]
    if rest[0] in SHORT:
        ways.append(f"{first} {' '.join([SHORT[rest[0]], *rest[1:]])}")
    form = rng.choice(LEGAL_FORMS[country or "US"])
    return f"{rng.choice(ways)}{rng.choice(('', f' {form}'))}"


def tagged(email: str, rng: random.Random) -> str:
    """An address with a tag, as people give to see who sells it."""
    local, domain = email.split("@")
    return f"{local}+{rng.choice(('news', 'trial', 'saas', 'vendor', '2025'))}@{domain}"


def dotted(email: str, rng: random.Random) -> str:
    """The same mailbox at Gmail, whose dots mean nothing and which has two domains."""
    local, _ = email.split("@")
    plain = local.replace(".", "")
    place = rng.randrange(1, len(plain) - 1)
    moved = rng.choice((plain, f"{plain[:place]}.{plain[place:]}"))
    if moved == local:
        moved = plain
    return f"{moved}@{rng.choice(('gmail.com', 'gmail.com', 'googlemail.com'))}"


def mistyped(email: str, rng: random.Random) -> str:
    """An address with a slip in its local part."""
    local, domain = email.split("@")
    return f"{typo(local, rng)}@{domain}"


def alias(first: str, last: str, email: str, rng: random.Random) -> str:
    """Another address of the same mailbox at the same company."""
    ways = (f"{first[0]}{last}", f"{first[0]}.{last}", f"{last}.{first}", f"{first}_{last}")
    return f"{rng.choice(ways).lower()}@{email.split('@')[1].lower()}"


def private(first: str, last: str, number: int, rng: random.Random) -> str:
    """Somebody's address at home."""
    ways = (
        f"{first}.{last}.{number % 1000}",
        f"{last}{first}{number % 1000}",
        f"{first[0]}{last}{number % 1000}",
    )
    return f"{rng.choice(ways).lower()}@{rng.choice(FREE)}"
