"""E-mail: sequences and newsletters, and what recipients do with them."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.simulation.account import Account, Person
from sandbox.simulation.staff import MARKETING
from sandbox.simulation.timeline import midnight, next_quarter, quarter_of
from sandbox.world import Campaign, EmailEvent, EmailLead, Recipient

#: Called when a person answers by hand.
OnReply = Callable[[Person, Campaign], None]


class Outreach:
    """All e-mail to one account."""

    def __init__(self, account: Account, on_reply: OnReply, reply_chance: float = 0.008) -> None:
        self.account = account
        self.on_reply = on_reply
        self.reply_chance = reply_chance

    def sequence(self, sender: str, person: Person, reply_step: int | None = None) -> Recipient | None:
        """Add a person to the sender's present campaign; they answer at `reply_step`, if given.

        No e-mail tool has an address in one campaign twice: whoever is in it is left alone.
        """
        account = self.account
        if not person.mailable:
            return None
        campaign = account.scene.staff.campaign(sender, account.t)
        if (campaign.id, person.email.lower()) in account.in_campaigns:
            return None
        account.in_campaigns.add((campaign.id, person.email.lower()))
        rng = account.rng
        recipient = Recipient(
            id=account.next_id("recipient"),
            campaign_id=campaign.id,
            email=person.email.title() if rng.random() < 0.03 else person.email,
            first_name=person.first_name,
            last_name=person.last_name,
            company_name=account.truth.name,
            status="active",
            added_at=account.t,
            updated_at=account.t,
        )
        account.world.email.recipients.append(recipient)
        account.truth.recipient_ids.append(recipient.id)
        account.line.after(0.02, 0.6, self._send, recipient, campaign, person, 0, reply_step)
        return recipient

    def newsletters(self) -> None:
        """From now on, every quarter's newsletter to whoever the CRM may mail."""
        quarter = next_quarter(quarter_of(self.account.t))
        delay = self.account.rng.uniform(2, 30)
        self.account.line.at(midnight(quarter), self.account.line.after, delay, delay + 1, self._newsletter)

    def _newsletter(self) -> None:
        for person in self.account.people:
            if person.contact is not None and not person.contact.email_opt_out:
                self.sequence(MARKETING, person)
        self.newsletters()

    def _event(self, recipient: Recipient, message: str, kind: str, **more: object) -> None:
        self.account.world.email.events.append(
            EmailEvent(
                id=self.account.next_id("event", 5),
                campaign_id=recipient.campaign_id,
                recipient_id=recipient.id,
                message_id=message,
                email=recipient.email,
                event_type=kind,
                occurred_at=self.account.t,
                **more,  # type: ignore[arg-type]
            )
        )

    def _send(
        self, recipient: Recipient, campaign: Campaign, person: Person, step: int, reply_step: int | None
    ) -> None:
        if recipient.status != "active" or not person.mailable:
            return
        rng, line = self.account.rng, self.account.line
        marketing = campaign.kind == "marketing"
        message = campaign.message_ids[step]
        self._event(recipient, message, "sent")
        chance = rng.random()
        if step == 0 and reply_step is None and not marketing and chance < 0.035:
            line.after(0.0002, 0.01, self._bounce, recipient, person, message, "hard")
            return
        if reply_step is None and chance > 0.99:
            line.after(0.0002, 0.1, self._bounce, recipient, person, message, "soft")
        else:
            self._reactions(recipient, person, campaign, message)
            answers = reply_step == step or rng.random() < self.reply_chance * (0.3 if marketing else 1)
            if answers:
                line.after(0.05, 1.5, self._reply, recipient, person, campaign, message)
        if step + 1 < len(campaign.message_ids):
            gap = 14 if marketing else 3 + step
            line.after(gap, gap + 1, self._send, recipient, campaign, person, step + 1, reply_step)
        else:
            line.after(5, 6, self._finish, recipient)

    def _reactions(self, recipient: Recipient, person: Person, campaign: Campaign, message: str) -> None:
        rng, line = self.account.rng, self.account.line
        if rng.random() < 0.14:
            line.after(0.0001, 0.001, self._event_machine, recipient, message, "open")
        if rng.random() < 0.34:
            for _ in range(1 + (rng.random() < 0.25)):
                line.after(0.01, 2, self._event, recipient, message, "open")
            if rng.random() < 0.2:
                line.after(2, 2.2, self._click, recipient, message)
        if rng.random() < 0.02:
            line.after(0.0002, 0.001, self._event_machine, recipient, message, "reply")
        if rng.random() < 0.006:
            line.after(0.1, 1, self._unsubscribe, recipient, person, message)

    def _event_machine(self, recipient: Recipient, message: str, kind: str) -> None:
        self._event(recipient, message, kind, is_machine=True)

    def _click(self, recipient: Recipient, message: str) -> None:
        self._event(recipient, message, "click", link="https://acme.example/product")

    def _finish(self, recipient: Recipient) -> None:
        if recipient.status == "active":
            self.account.put(recipient, status="finished")

    def _bounce(self, recipient: Recipient, person: Person, message: str, kind: str) -> None:
        self._event(recipient, message, "bounce", bounce_type=kind)
        if kind == "hard":
            person.mailable = False
            self.account.put(recipient, status="bounced")

    def _unsubscribe(self, recipient: Recipient, person: Person, message: str) -> None:
        if recipient.status != "active" or not person.mailable:
            return
        self._event(recipient, message, "unsubscribe")
        person.mailable = False
        self.account.put(recipient, status="unsubscribed", unsubscribed_at=self.account.t)
        self.account.line.after(0.01, 0.4, self._opt_out, person)

    def _opt_out(self, person: Person) -> None:
        if person.contact is not None:
            self.account.put(person.contact, email_opt_out=True)

    def _reply(self, recipient: Recipient, person: Person, campaign: Campaign, message: str) -> None:
        archived = person.contact is not None and person.contact.archived_at is not None
        if recipient.status not in ("active", "finished") or archived:
            return
        account = self.account
        self._event(recipient, message, "reply")
        account.put(recipient, status="replied")
        lead = EmailLead(
            id=account.next_id("email_lead"),
            campaign_id=campaign.id,
            recipient_id=recipient.id,
            email=recipient.email,
            status="open",
            assigned_to_email=campaign.owner_email,
            created_at=account.t,
            updated_at=account.t,
        )
        account.world.email.leads.append(lead)
        account.line.after(5, 50, self._close_lead, lead)
        account.line.after(0.01, 0.25, self.on_reply, person, campaign)

    def _close_lead(self, lead: EmailLead) -> None:
        status = self.account.rng.choices(("closed", "lost", "ignored"), (5, 3, 2))[0]
        self.account.put(lead, status=status, closed_at=self.account.t)
