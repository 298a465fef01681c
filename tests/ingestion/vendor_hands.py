"""What people do to records, by vendor: edits, deletes, merges, what comes late or while pages turn.

Each change gives the rows by table that the next load has to write, no more and no fewer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from types import ModuleType

import crm_world
import mailshake_world
import stripe_world
from crm_world import day
from mailshake_world import minute
from vendor_bench import Bench

from ingestion import chargebee, hubspot, mailshake, pipedrive, salesforce_session, stripe, stripe_changes
from sandbox.api import salesforce as salesforce_api
from sandbox.world import Contact, Customer, World

Change = Callable[[Bench], dict[str, int]]


@dataclass(frozen=True)
class Hands:
    """One vendor's.

    `spoilt`: a path where faults are asked for, its table, a field and its column. `pages`: the sizes of
    pages at which the small world has several. `turning`: whether it is a first load, and the address of the
    page after which `born` happens; `crowd` gives a later load pages to turn. `says`: whether a refusal for
    the rate says when to come back.
    """

    build: Callable[[], World]
    changes: dict[str, Change]
    spoilt: tuple[str, str, str, str]
    pages: tuple[tuple[ModuleType, str, object], ...]
    turning: tuple[tuple[bool, str], ...]
    crowd: Callable[[Bench], object]
    born: Callable[[Bench], object]
    settings: tuple[tuple[ModuleType, str, object], ...] = field(default=())
    says: bool = True


# ---------------------------------------------------------------- CRMs


def _person(bench: Bench) -> None:
    """A first person changes and another comes."""
    people = bench.world.crm.contacts
    people[0].job_title, people[0].updated_at = "Chief", day(141) - timedelta(minutes=1)
    people.append(
        Contact(
            *("24", "12", "new@initech.test", "New", "Comer", None, "1", "lead", "inbound", False),
            *(day(141), day(141)),
        )
    )


def _hubspot_edit(bench: Bench) -> dict[str, int]:
    bench.send("PATCH", "v3/objects/deals/32", properties={"dealstage": "closedlost"})
    bench.send("PATCH", "v3/objects/contacts/23", properties={"lifecyclestage": "lead"})
    return {"contacts": 1, "deals": 1, "deal_history": 1}


def _hubspot_delete(bench: Bench) -> dict[str, int]:
    bench.send("DELETE", "v3/objects/companies/12", "2025-05-25T08:00:00+00:00")
    return {"companies": 1}


def _hubspot_merge(bench: Bench) -> dict[str, int]:
    bench.send("POST", "v3/objects/contacts/merge", primaryObjectId="21", objectIdToMerge="22")
    return {"contacts": 2, "deal_contacts": 3, "contact_companies": 1}


def _hubspot_late(bench: Bench) -> dict[str, int]:
    for at, key in (("12:00", "11"), ("11:55", "12")):
        bench.load()
        name = {"name": f"Renamed {key}"}
        bench.send("PATCH", f"v3/objects/companies/{key}", f"2025-05-20T{at}:00+00:00", properties=name)
    return {"companies": 1}


def _hubspot_crowd(bench: Bench) -> None:
    for key in ("21", "22", "23"):
        bench.send("PATCH", f"v3/objects/contacts/{key}", properties={"jobtitle": f"Head {key}"})


def _salesforce_edit(bench: Bench) -> dict[str, int]:
    bench.send("PATCH", "sobjects/Opportunity/32", StageName="closedlost", Loss_Reason__c="price")
    bench.send("PATCH", "sobjects/Opportunity/31", OwnerId="2")
    return {"opportunities": 2, "opportunity_field_history": 3}  # two of them for the owner


def _salesforce_delete(bench: Bench) -> dict[str, int]:
    bench.send("DELETE", "sobjects/Account/12", "2025-05-25T08:00:00+00:00")
    return {"accounts": 1}


def _salesforce_merge(bench: Bench) -> dict[str, int]:
    loser = bench.world.crm.contacts[1]
    loser.merged_into, loser.archived_at = "21", day(100)
    return {"contacts": 1, "leads": 1, "opportunity_contact_roles": 2}


def _salesforce_late(bench: Bench) -> dict[str, int]:
    for at, key in (("12:00", "11"), ("11:55", "12")):
        bench.load()
        bench.send("PATCH", f"sobjects/Account/{key}", f"2025-05-20T{at}:00+00:00", Industry="Retail")
    return {"accounts": 1}


def _salesforce_crowd(bench: Bench) -> None:
    for key in ("21", "22", "23"):
        bench.send("PATCH", f"sobjects/Contact/{key}", Title=f"Head {key}")


def _pipedrive_edit(bench: Bench) -> dict[str, int]:
    bench.send("PATCH", "v2/deals/32", status="lost", lost_reason="price")
    bench.send("PATCH", "v2/persons/23", owner_id=2)
    return {"persons": 1, "deals": 1, "deal_changes": 1}


def _pipedrive_delete(bench: Bench) -> dict[str, int]:
    bench.send("DELETE", "v2/deals/32")
    return {"deals": 1}


def _pipedrive_merge(bench: Bench) -> dict[str, int]:
    bench.send("PUT", "v1/persons/22/merge", merge_with_id=23)
    bench.load()  # in no list: the deals' participants are, the person once all are compared
    bench.world.now += timedelta(days=pipedrive.SWEEP_DAYS)
    return {"persons": 1}


def _pipedrive_late(bench: Bench) -> dict[str, int]:
    for at, key in (("12:00", "11"), ("11:55", "12")):
        bench.load()
        bench.send("PATCH", f"v2/organizations/{key}", f"2025-05-20T{at}:00Z", name=f"Renamed {key}")
    return {"organizations": 1}


def _pipedrive_crowd(bench: Bench) -> None:
    for key in ("21", "22", "23"):
        bench.send("PATCH", f"v2/persons/{key}", owner_id=2)


# ---------------------------------------------------------------- e-mail


def _mailshake_edit(bench: Bench) -> dict[str, int]:
    email = bench.world.email
    email.leads[0].status, email.leads[0].updated_at = "closed", minute(700)
    email.campaigns[0].archived_at = minute(800)
    return {"campaigns": 1, "leads": 1}


def _mailshake_delete(bench: Bench) -> dict[str, int]:
    email = bench.world.email
    del email.team[1]
    email.recipients = [one for one in email.recipients if one.id != "2000"]
    bench.world.now += timedelta(days=mailshake.SWEEP_DAYS)  # recipients are compared now and then
    return {"team": 1, "recipients": 1}


def _mailshake_late(bench: Bench) -> dict[str, int]:
    mailshake_world.event(bench.world, 1007, "reply", minute(304) - timedelta(minutes=9))
    return {"replies": 1}


def _mailshake_crowd(bench: Bench) -> None:
    for place in range(3):
        bench.world.email.recipients.append(
            mailshake_world.recipient(1200 + place, "101", minute(400 + place))
        )
        mailshake_world.event(bench.world, 1200 + place, "sent", minute(410 + place))


def _mailshake_born(bench: Bench) -> None:
    bench.world.email.recipients.append(mailshake_world.recipient(1300, "101", minute(500)))
    mailshake_world.event(bench.world, 1300, "sent", minute(510))


# ---------------------------------------------------------------- billing


def _customer(key: str, at) -> Customer:
    return Customer(key, "New", f"{key}@new.example", "DE", None, "USD", at, at)


def _billing_late(bench: Bench) -> dict[str, int]:
    """The newest record is of 20 October; on the list of customers, it is of 10 September."""
    customers = bench.world.billing.customers
    newest = stripe_world.day(10, 20) if bench.vendor == "stripe" else stripe_world.day(9, 10)
    customers.append(_customer("cus_late", newest - timedelta(minutes=9)))
    customers[0].tax_id, customers[0].updated_at = "DE9", newest - timedelta(minutes=9)
    return {"customers": 2}


def _billing_crowd(bench: Bench) -> None:
    made = (_customer(f"cus_{place}", stripe_world.day(10, 21 + place)) for place in range(3))
    bench.world.billing.customers.extend(made)


def _billing_born(bench: Bench) -> None:
    customers = bench.world.billing.customers
    for customer in (customers[0], customers[-1]):
        customer.tax_id, customer.updated_at = "DE9", bench.world.now - timedelta(minutes=2)
    customers.append(_customer("cus_new", bench.world.now - timedelta(minutes=1)))


def _stripe_edit(bench: Bench) -> dict[str, int]:
    bench.send(
        "POST", "customers/cus_acme", **{"email": "new@acme.example", "metadata[hubspot_company_id]": "2"}
    )
    return {"customers": 1}


def _stripe_delete(bench: Bench) -> dict[str, int]:
    bench.send("DELETE", "customers/cus_acme")
    return {"customers": 1}


def _chargebee_edit(bench: Bench) -> dict[str, int]:
    bench.send("POST", "customers/cus_acme", email="new@acme.example", cf_crm_account_id="2002")
    return {"customers": 1}


def _chargebee_delete(bench: Bench) -> dict[str, int]:
    for path in ("customers/cus_kyoto", "subscriptions/sub_kyoto"):
        bench.send("POST", f"{path}/delete")
    return {"customers": 1, "subscriptions": 1, "subscription_coupons": 1}


def _chargebee_merge(bench: Bench) -> dict[str, int]:
    bench.send("POST", "customers/cus_switch/delete")
    moved = next(one for one in bench.world.billing.subscriptions if one.id == "sub_switch")
    moved.customer_id, moved.updated_at = "cus_acme", bench.world.now - timedelta(seconds=1)
    return {"customers": 1, "subscriptions": 1}


HANDS: dict[str, Hands] = {
    "hubspot": Hands(
        crm_world.small_world,
        {
            "edit": _hubspot_edit,
            "delete": _hubspot_delete,
            "merge": _hubspot_merge,
            "late commit": _hubspot_late,
        },
        ("objects/deals", "deals", "dealname", "dealname"),
        ((hubspot, "LIST_PAGE", 1), (hubspot, "HISTORY_PAGE", 1), (hubspot, "SEARCH_PAGE", 1)),
        ((True, r"objects/contacts\?.*archived=false"), (False, "objects/contacts/search")),
        _hubspot_crowd,
        _person,
        settings=((hubspot, "SEARCH_LIMIT", (1000, 1)),),
    ),
    "salesforce": Hands(
        crm_world.small_world,
        {
            "edit": _salesforce_edit,
            "delete": _salesforce_delete,
            "merge": _salesforce_merge,
            "late commit": _salesforce_late,
        },
        ("queryAll", "opportunities", "Amount", "amount"),
        ((salesforce_api, "BATCH", (1, 2000)), (salesforce_session, "BATCH_SIZE", 1)),
        ((True, r"SELECT Id,.* FROM Contact$"), (False, r"SELECT Id,.* FROM Contact WHERE")),
        _salesforce_crowd,
        _person,
        says=False,
    ),
    "pipedrive": Hands(
        crm_world.small_world,
        {
            "edit": _pipedrive_edit,
            "delete": _pipedrive_delete,
            "merge": _pipedrive_merge,
            "late commit": _pipedrive_late,
        },
        ("v2/deals$", "deals", "value", "value"),
        ((pipedrive, "PAGE", 1), (pipedrive, "FLOW_PAGE", 1)),
        ((True, r"v2/persons\?.*sort_by=id"), (False, r"v2/persons\?.*updated_since")),
        _pipedrive_crowd,
        _person,
    ),
    "mailshake": Hands(
        mailshake_world.build,
        {"edit": _mailshake_edit, "delete": _mailshake_delete, "late commit": _mailshake_late},
        ("activity/clicks", "clicks", "isDuplicate", "is_duplicate"),
        ((mailshake, "PAGE", 20),),
        tuple((first, path) for first in (True, False) for path in ("activity/sent", "recipients/list")),
        _mailshake_crowd,
        _mailshake_born,
    ),
    "stripe": Hands(
        stripe_world.build,
        {"edit": _stripe_edit, "delete": _stripe_delete, "late commit": _billing_late},
        ("v1/charges", "charges", "amount", "amount"),
        ((stripe, "PAGE", 2), (stripe_changes, "PAGE", 2)),
        ((True, r"customers\?.*limit=2"), (False, r"customers\?.*created"), (False, r"events\?.*created")),
        _billing_crowd,
        _billing_born,
    ),
    "chargebee": Hands(
        stripe_world.build,
        {
            "edit": _chargebee_edit,
            "delete": _chargebee_delete,
            "merge": _chargebee_merge,
            "late commit": _billing_late,
        },
        ("api/v2/transactions", "transactions", "amount", "amount"),
        ((chargebee, "PAGE", 2),),
        ((True, r"customers\?"), (False, r"customers\?")),
        _billing_crowd,
        _billing_born,
    ),
}
