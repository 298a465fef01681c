"""Two labelled data sets through the real load and the real models."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest
from identity_company import IdentityCompany, precision_and_recall

DATA = Path(os.environ.get("REVOPS_REAL_DATA") or Path(__file__).parents[3] / "shared" / "data") / "identity"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"{DATA} is absent; REVOPS_REAL_DATA says where the real data is"
)


def read(path: str) -> list[dict[str, str]]:
    with (DATA / path).open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_people_with_typos_in_everything(resolved: IdentityCompany) -> None:
    people = read("splink_fake_1000/fake_1000.csv")
    contacts = [
        {
            "contact_id": row["unique_id"],
            "first_name": row["first_name"],
            "last_name": row["surname"],
            "birth_date": row["dob"],
            "city": row["city"],
            "email": row["email"],
        }
        for row in people
    ]
    resolved.forget()
    resolved.run(contacts=contacts)
    precision, recall, _ = precision_and_recall(
        resolved.people(), {f"contact:{row['unique_id']}": row["cluster"] for row in people}
    )
    candidates = resolved.rows("select count(*) from identity.candidates where kind = 'person'")
    print(f"people: precision {precision:.4f}, recall {recall:.4f}, {candidates[0][0]} candidates")
    assert precision >= 0.99
    assert recall >= 0.82
    assert candidates[0][0] > 0


def test_companies_by_nothing_but_a_corrupted_name_and_the_country(resolved: IdentityCompany) -> None:
    clean = read("company_names/test_names.csv")
    corrupted = read("company_names/adjusted_test_names.csv")
    assert len(clean) == len(corrupted) == 500
    resolved.forget()
    resolved.run(
        accounts=[
            {"account_id": row[""], "name": row["company_name"], "country": row["country"]} for row in clean
        ],
        customers=[
            {"customer_id": row[""], "name": row["company_name"], "country": row["country"]}
            for row in corrupted
        ],
    )
    truth = {f"crm:{row['']}": row[""] for row in clean} | {
        f"billing:{row['']}": row[""] for row in corrupted
    }
    precision, _, found = precision_and_recall(resolved.accounts(), truth)
    print(f"companies: {found} of 500 found, precision {precision:.4f}")
    assert precision >= 0.98
    assert found >= 300
