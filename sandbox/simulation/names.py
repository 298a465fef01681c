"""Names of fictional companies and people."""

from __future__ import annotations

import random

_FIRST = """
Ada Ben Carla Dev Elif Femi Greta Hana Ivan Jola Kofi Lena Marco Nadia Omar Petra Quinn Rosa Sami Tara
Uma Viktor Wanda Xenia Yusuf Zoe Anton Bianca Chen Dora Emil Fatima Georg Hugo Iris Jonas Kira Luca Maya
"""
_LAST = """
Abbott Berger Costa Dahl Evans Fischer Garcia Haas Ito Jansen Kaya Lopez Moreau Novak Okafor Patel Quist
Rossi Santos Tanaka Ueda Vance Weber Xu Young Zeman Adler Brandt Cruz Diaz Ekman Falk Gruber Holt
"""
_STEMS = """
Bright Harbor Cedar Delta Ember Falcon Granite Helio Iron Juniper Kestrel Lumen Maple Nimbus Orchid Pine
Quartz River Summit Timber Umbra Vertex Willow Xeno Yarrow Zephyr Amber Birch Cobalt Drift Echo Fern
Glacier
"""
_KINDS = """
Works Labs Freight Health Retail Foods Energy Robotics Media Logistics Textiles Optics Analytics Travel
Bank Insurance Printing Motors Farms Studios Systems Security Mobility Learning Materials Homes Marine
"""
FIRST, LAST = tuple(_FIRST.split()), tuple(_LAST.split())
STEMS, KINDS = tuple(_STEMS.split()), tuple(_KINDS.split())
INDUSTRIES = ("Software", "Manufacturing", "Retail", "Logistics", "Healthcare", "Finance", "Media")
TITLES = ("Head of Operations", "CEO", "IT Manager", "VP Sales", "Procurement", "Finance Director", "Analyst")
FREE_MAIL = ("gmail.com", "outlook.com")


def company_name(number: int) -> str:
    """A name no other company number has."""
    spread = (number * 379) % (len(STEMS) * len(KINDS))
    lap = number // (len(STEMS) * len(KINDS))
    name = f"{STEMS[spread % len(STEMS)]} {KINDS[spread // len(STEMS)]}"
    return f"{name} {lap + 1}" if lap else name


def domain_of(name: str) -> str:
    """The company's domain (a reserved top-level domain: nobody's)."""
    return f"{name.lower().replace(' ', '')}.example"


def person(rng: random.Random) -> tuple[str, str]:
    """First and last name."""
    return rng.choice(FIRST), rng.choice(LAST)
