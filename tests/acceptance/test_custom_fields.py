"""What a company has added to its vendors' records reaches the silo contract as columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from revops import Revops, sandbox_company

FIELDS = """
[sources.hubspot]
silo = "crm"
type = "hubspot"
base_url = "http://127.0.0.1:{port}/hubspot"
[sources.hubspot.fields]
accounts = {{ charged_as = "stripe_customer_id", colour = "favourite_colour" }}

[sources.mailchimp]
silo = "email"
type = "mailchimp"
base_url = "http://127.0.0.1:{port}/mailchimp"
[sources.mailchimp.fields]
recipients = {{ answered = "LEADSTATUS", shoe_size = "SHOESIZE" }}

[sources.stripe]
silo = "billing"
type = "stripe"
base_url = "http://127.0.0.1:{port}/stripe"
[sources.stripe.fields]
customers = {{ crm_key = "{key}" }}

[sources.notes]
silo = "crm"
type = "files"
mapping = "notes.toml"
"""
MAPPING = """
[files]
notes = "notes.csv"
[tables.accounts]
from = "notes"
[tables.accounts.columns]
account_id = "id"
mood = "mood"
"""


@pytest.fixture(scope="module")
def revops(tmp_path_factory: pytest.TempPathFactory) -> Revops:
    folder = tmp_path_factory.mktemp("fields")
    made = sandbox_company(folder, size=20, months=4)
    text = made.config.read_text(encoding="utf-8")
    port = text.split("port = ")[1].split()[0]
    listed = 'vendors = ["hubspot", "mailshake", "stripe"]'
    text = text.replace(listed, "") + FIELDS.format(port=port, key="hubspot_company_id")
    made.config.write_text(text, encoding="utf-8")
    (folder / "notes.toml").write_text(MAPPING)
    (folder / "notes.csv").write_text("id,mood\n1,sunny\n")
    return made


def test_fields_of_vendors_and_files_are_columns_of_the_contract(revops: Revops) -> None:
    revops("run")
    with revops.warehouse() as warehouse:
        accounts = warehouse.execute(
            "select source, count(*), count(charged_as), count(billing_customer_id), count(colour),"
            " any_value(mood), count(*) filter (where charged_as is distinct from billing_customer_id)"
            " from crm.accounts group by source order by source"
        ).fetchall()
        customers = warehouse.execute(
            "select count(crm_key), count(*) filter (where crm_key is distinct from crm_account_id)"
            " from billing.customers"
        ).fetchall()
        answered = warehouse.execute(
            "select recipients.answered, leads.status, count(recipients.shoe_size)"
            " from email.recipients left join email.leads using (source, recipient_id) group by all"
        ).fetchall()
    hubspot, notes = accounts
    assert hubspot[0] == "hubspot"
    assert hubspot[2] == hubspot[3] > 0
    assert hubspot[4:] == (0, None, 0)  # a property that HubSpot does not have is empty there
    assert notes == ("notes", 1, 0, 0, 0, "sunny", 0)
    assert customers[0][0] > 0
    assert customers[0][1] == 0
    assert len(answered) > 1
    assert all((ours or None, sizes) == (status, 0) for ours, status, sizes in answered)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            'account = { x = "y" }',
            "hubspot takes no fields for table 'account'; did you mean 'accounts'?",
        ),
        ('accounts = { name = "y" }', "accounts: 'name' is a column of the contract already"),
        ('accounts = { Mood = "y" }', "accounts: 'Mood' is no column name; use a-z, 0-9 and _"),
    ],
)
def test_fields_that_cannot_be_are_refused_before_anything_runs(
    revops: Revops, tmp_path: Path, fields: str, says: str
) -> None:
    config = tmp_path / "revops.toml"
    config.write_text(
        f'[sources.hubspot]\nsilo = "crm"\ntype = "hubspot"\n[sources.hubspot.fields]\n{fields}\n'
    )
    said = Revops(tmp_path / "home", config)("run", exits=1).stderr
    assert said == f"revops: [sources.hubspot.fields]{' ' if says[0] == 'a' else ': '}{says}\n"
