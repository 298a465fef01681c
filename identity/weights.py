"""What two records must share to be one: the settings of the two Splink models.

A level's m is how often two records of one company (or person) are on it, u how often two records of
different ones are; log2(m / u) is what it adds to or takes from the odds. They are constants, so that a
pair's score depends on the pair alone. docs/decisions.md says where they come from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: From this probability on two records are linked; between the two a person should look at them.
LINKED = 0.9
REVIEWED = 0.5

Level = tuple[str, str, float, float]  # what it is called in the evidence, its SQL, m, u


@dataclass(frozen=True)
class Model:
    """One kind of records and how pairs of them are compared."""

    columns: tuple[str, ...]  # of the features, that comparisons and blocks read
    blocks: tuple[str, ...]  # expressions; a pair is compared if one of them is equal
    prior: float  # probability that two records of one block are one, before anything is compared
    comparisons: dict[str, tuple[str, tuple[Level, ...]]]  # name -> when there is nothing to compare, levels


def _differ(column: str) -> str:
    """Edits from one name to the other, in shares of the longer one."""
    edits = f"damerau_levenshtein({column}_l, {column}_r)"
    return f"{edits} / greatest(length({column}_l), length({column}_r))"


def _missing(column: str) -> str:
    return f"{column}_l is null or {column}_r is null"


def _letters_differ(most: float) -> str:
    could_be = "numbers_l is not distinct from numbers_r and abs(length(letters_l) - length(letters_r)) <= 4"
    return f"{could_be} and ({_differ('letters')} <= {most} or {_differ('sorted_letters')} <= {most})"


_END = "right(letters, case when length(letters) < 12 then 4 when length(letters) < 20 then 8 else 12 end)"

COMPANIES = Model(
    columns=(
        *("words", "core", "letters", "sorted_letters", "legal_form", "numbers"),
        *("country", "domain", "tax_number"),
    ),
    blocks=(
        "core",
        "domain",
        "sorted_letters",
        "country || left(letters, 5)",
        # Many names end alike (Systems, Solutions), and a letter at the beginning may be wrong.
        f"country || left(letters, 1) || {_END}",
        f"country || substr(letters, 2, 2) || {_END}",
    ),
    prior=2e-5,
    comparisons={
        "name": (
            "letters_l is null or letters_r is null",
            (
                # "Stanton LLC" and "Stanton PLC" are two companies.
                ("legal form differs", "core_l = core_r and legal_form_l <> legal_form_r", 0.02, 4e-6),
                ("same name", "core_l = core_r or sorted_letters_l = sorted_letters_r", 0.5, 8e-7),
                ("name differs by one letter in eight", _letters_differ(0.125), 0.25, 1.5e-6),
                ("similar name", _letters_differ(0.2), 0.1, 1e-5),
                ("other name", "else", 0.13, 0.999),
            ),
        ),
        "country": (
            _missing("country"),
            (("same country", "country_l = country_r", 0.9, 0.3), ("other country", "else", 0.1, 0.7)),
        ),
        "domain": (
            _missing("domain"),
            (
                ("same domain", "domain_l = domain_r", 0.7, 1e-5),
                ("other domain", "else", 0.05, 0.999),
            ),
        ),
        "tax id": (
            _missing("tax_number"),
            (
                ("same tax id", "tax_number_l = tax_number_r", 0.95, 1e-6),
                ("other tax id", "else", 0.01, 0.999),
            ),
        ),
    },
)


def _only(characters: str, column: str) -> str:
    return f"regexp_replace({column}, '[^{characters}]', '', 'g')"


def _digits_differ(most: int) -> str:
    return f"damerau_levenshtein(cast(birth_date_l as varchar), cast(birth_date_r as varchar)) <= {most}"


def _name(column: str, other: str, common: float) -> tuple[str, tuple[Level, ...]]:
    swapped = (
        f"{column}_l = {other}_r and ({other}_l = {column}_r or {other}_l is null or {column}_r is null)"
    )
    close = (
        f"damerau_levenshtein({column}_l, {column}_r) <= 1"
        f" or jaro_winkler_similarity({column}_l, {column}_r) >= 0.9"
    )
    label = column.replace("_", " ")
    return (
        _missing(column),
        (
            (f"same {label}", f"{column}_l = {column}_r", 0.5, common),
            ("names swapped", swapped, 0.1, 4e-4),
            (f"similar {label}", close, 0.2, 1.5 * common),
            (f"other {label}", "else", 0.2, 0.99),
        ),
    )


PEOPLE = Model(
    columns=(
        *("first_name", "last_name", "email_key", "mailbox", "email_domain"),
        *("company", "birth_date", "city"),
    ),
    blocks=(
        "email_key",
        "company || last_name",
        "company || first_name",
        "email_domain || last_name",
        "email_domain || first_name",
        "mailbox || last_name",
        "birth_date",
        # A name alone is too common to be compared for; these have something else to go by.
        "case when birth_date is not null"
        " then least(first_name, last_name) || greatest(first_name, last_name) end",
        "case when birth_date is not null then mailbox end",
        "year(birth_date) || last_name",
        "year(birth_date) || first_name",
    ),
    prior=1e-4,
    comparisons={
        "first name": _name("first_name", "last_name", 0.005),
        "last name": _name("last_name", "first_name", 0.0025),
        "e-mail": (
            _missing("email_key"),
            (
                ("same e-mail", "email_key_l = email_key_r", 0.55, 1e-5),
                # Numbers are added where somebody else has the name already.
                (
                    "e-mail with another number",
                    f"{_only('a-z', 'mailbox_l')} = {_only('a-z', 'mailbox_r')}"
                    f" and {_only('0-9', 'mailbox_l')} <> {_only('0-9', 'mailbox_r')}"
                    " and email_domain_l is not distinct from email_domain_r"
                    " and first_name_l = first_name_r and last_name_l = last_name_r",
                    0.002,
                    0.1,
                ),
                (
                    "similar e-mail",
                    "damerau_levenshtein(email_key_l, email_key_r) <= least(3, length(email_key_l) // 8)"
                    " and (email_domain_l = email_domain_r or coalesce(company_l = company_r, true))",
                    0.3,
                    7e-5,
                ),
                ("same company domain", "email_domain_l = email_domain_r", 0.1, 7e-4),
                ("same mailbox", "mailbox_l = mailbox_r", 0.01, 0.005),
                ("other e-mail", "else", 0.05, 0.99),
            ),
        ),
        "company": (
            _missing("company"),
            (
                # The domain has counted already.
                ("same company", "company_l = company_r and email_domain_l = email_domain_r", 0.5, 0.5),
                ("same company", "company_l = company_r", 0.8, 4e-4),
                ("other company", "else", 0.1, 0.999),
            ),
        ),
        "birth date": (
            _missing("birth_date"),
            (
                ("same birth date", "birth_date_l = birth_date_r", 0.4, 5e-5),
                ("one digit of the birth date differs", _digits_differ(1), 0.12, 1.2e-3),
                ("two digits of the birth date differ", _digits_differ(2), 0.2, 0.015),
                ("other birth date", "else", 0.28, 0.98),
            ),
        ),
        "city": (
            _missing("city"),
            (
                ("same city", "city_l = city_r", 0.55, 0.11),
                ("similar city", "damerau_levenshtein(city_l, city_r) <= 2", 0.35, 0.04),
                ("other city", "else", 0.1, 0.85),
            ),
        ),
    },
)


def splink_settings(model: Model) -> dict[str, Any]:
    """The model as Splink's settings for records with a column `record` and `block_<n>` for each block."""
    return {
        "link_type": "dedupe_only",
        "unique_id_column_name": "record",
        "probability_two_random_records_match": model.prior,
        "retain_matching_columns": True,
        "blocking_rules_to_generate_predictions": [
            f"l.block_{n} = r.block_{n} and (l.is_changed or r.is_changed)" for n in range(len(model.blocks))
        ],
        "comparisons": [
            {
                "output_column_name": name.replace(" ", "_").replace("-", "_"),
                "comparison_levels": [
                    {"sql_condition": missing, "label_for_charts": "missing", "is_null_level": True},
                    *(
                        {
                            "sql_condition": sql,
                            "label_for_charts": label,
                            "m_probability": m,
                            "u_probability": u,
                        }
                        for label, sql, m, u in levels
                    ),
                ],
            }
            for name, (missing, levels) in model.comparisons.items()
        ],
    }
