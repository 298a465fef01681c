"""Noise about people: what is typed by hand, and which of their addresses they use where."""

from __future__ import annotations

import random
from datetime import timedelta

from sandbox.noise.desk import Desk, later, number_of
from sandbox.noise.spelling import alias, dotted, mistyped, private, tagged, typo
from sandbox.world import EmailEvent, Recipient


def contacts(desk: Desk) -> None:
    """Sales types an address wrongly, or the person gave a private one; some later mail goes there."""
    for account in desk.ordinary():
        for key in account.contact_ids:
            rng, contact = desk.chance("contact", key), desk.contacts[key]
            person = desk.person_of[f"contact:{key}"]
            kind = rng.choices(("typo", "private", "name", None), (3, 3, 3, 91))[0]
            if kind is None or desk.is_noisy(f"contact:{key}"):
                continue
            if kind == "name":
                contact.first_name, contact.last_name = _misspelt(contact.first_name, contact.last_name, rng)
                desk.mark("name_typo", f"contact:{key}")
            elif kind == "typo" and contact.lead_source != "outbound":
                contact.email = mistyped(contact.email or "", rng)
                person.emails.add(contact.email)
                desk.mark("address_typo", f"contact:{key}")
            elif kind == "private":
                address = private(contact.first_name, contact.last_name, number_of(account), rng)
                contact.email = address
                person.emails.add(address)
                desk.mark("private_address", f"contact:{key}")
                for other in person.recipient_ids:
                    recipient = desk.recipients[other]
                    there = desk.chance("private", other).random() < 0.5
                    if (
                        there
                        and recipient.added_at > contact.created_at
                        and not desk.is_noisy(f"recipient:{other}")
                    ):
                        desk.readdress(recipient, address)
                        desk.mark("private_address", f"recipient:{other}")


def recipients(desk: Desk) -> None:
    """Tags, aliases, dots that Gmail does not see, and misspelt names in the lists that mail goes to."""
    for recipient in list(desk.recipients.values()):
        rng = desk.chance("recipient", recipient.id)
        at_gmail = recipient.email.lower().endswith("@gmail.com")
        kind = rng.choices(("dots" if at_gmail else "alias", "tag", "name", None), (3, 2, 2.5, 92.5))[0]
        record = f"recipient:{recipient.id}"
        if at_gmail and kind is None and rng.random() < 0.15:
            kind = "dots"
        if kind is None or desk.is_noisy(record):
            continue
        first, last = recipient.first_name, recipient.last_name
        if kind == "dots":
            desk.readdress(recipient, dotted(recipient.email, rng))
            desk.mark("gmail_dots", record)
        elif kind == "tag":
            desk.readdress(recipient, tagged(recipient.email, rng))
            desk.mark("plus_tag", record)
        elif kind == "alias" and not recipient.email.lower().endswith(
            ("outlook.com", "yahoo.com", "icloud.com")
        ):
            desk.readdress(recipient, alias(first, last, recipient.email, rng))
            desk.mark("alias", record)
        elif kind == "name":
            recipient.first_name, recipient.last_name = _misspelt(first, last, rng)
            desk.mark("name_typo", record)


def _misspelt(first: str, last: str, rng: random.Random) -> tuple[str, str]:
    return (typo(first, rng), last) if rng.random() < 0.5 else (first, typo(last, rng))


def bounces(desk: Desk) -> None:
    """A rep adds somebody to a sequence once more, with a slip in the address: it bounces."""
    for recipient in list(desk.recipients.values()):
        rng, campaign = desk.chance("bounce", recipient.id), desk.campaigns[recipient.campaign_id]
        record = f"recipient:{recipient.id}"
        if campaign.kind != "outbound" or rng.random() >= 0.02 or desk.is_noisy(record):
            continue
        added = later(recipient.added_at, rng, 0.01, 0.2)
        if not desk.has_come(added):
            continue
        sent, bounced = added + timedelta(minutes=4), added + timedelta(minutes=5)
        email = mistyped(recipient.email.lower(), rng)
        number = number_of(desk.account_of[record])
        place = int(recipient.id.removeprefix(str(number)))
        again = Recipient(
            id=f"{number}{900 + place}",
            campaign_id=campaign.id,
            email=email,
            first_name=recipient.first_name,
            last_name=recipient.last_name,
            company_name=recipient.company_name,
            status="bounced" if desk.has_come(bounced) else "active",
            added_at=added,
            updated_at=bounced if desk.has_come(bounced) else added,
        )
        desk.world.email.recipients.append(again)
        desk.account_of[record].recipient_ids.append(again.id)
        person = desk.person_of[record]
        person.recipient_ids.append(again.id)
        person.emails.add(email)
        for step, (kind, at) in enumerate((("sent", sent), ("bounce", bounced))):
            if desk.has_come(at):
                desk.world.email.events.append(
                    EmailEvent(
                        id=f"{number}{90000 + 2 * place + step}",
                        campaign_id=campaign.id,
                        recipient_id=again.id,
                        message_id=campaign.message_ids[0],
                        email=email,
                        event_type=kind,
                        occurred_at=at,
                        bounce_type="hard" if kind == "bounce" else None,
                    )
                )
        desk.mark("address_typo", f"recipient:{again.id}")
