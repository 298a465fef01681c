"""The sandbox's Chargebee site answers as Chargebee documents: keys, pages, filters, deletions, errors."""

from datetime import timedelta

import pytest
import requests

from sandbox import server
from sandbox.api import chargebee
from sandbox.simulation import simulate

AUTH = (chargebee.KEY, "")


@pytest.fixture(scope="module")
def world():
    return simulate(seed=11, months=14, size=40)


@pytest.fixture
def base_url(sandbox_server, world):
    return f"{sandbox_server(world)}/chargebee/api/v2"


def get(base_url, path, **params):
    return requests.get(f"{base_url}/{path}", params=params, auth=AUTH, timeout=5)


def whole(base_url, path, kind, **params):
    found, params = [], {"limit": 100, **params}
    while True:
        answer = get(base_url, path, **params).json()
        found += [entry[kind] for entry in answer["list"]]
        if "next_offset" not in answer:
            return found
        params["offset"] = answer["next_offset"]


def test_only_the_key_as_user_name_gets_in(base_url):
    assert get(base_url, "customers").status_code == 200
    for auth in (None, ("wrong", ""), (chargebee.KEY, "password"), ("", chargebee.KEY)):
        refused = requests.get(f"{base_url}/customers", auth=auth, timeout=5)
        assert (refused.status_code, refused.json()["api_error_code"]) == (401, "api_authentication_failed")


def test_past_the_rate_limit_it_says_when_to_come_back(sandbox_server, world, monkeypatch):
    monkeypatch.setattr(server.VENDORS["chargebee"], "LIMIT", (1, 60))
    base_url = f"{sandbox_server(world)}/chargebee/api/v2"
    assert get(base_url, "items", limit=1).status_code == 200
    refused = get(base_url, "items", limit=1)
    assert refused.json()["api_error_code"] == "api_request_limit_exceeded"
    assert (refused.status_code, refused.json()["http_status_code"]) == (429, 429)
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_pages_follow_on_each_other_in_the_order_asked_for(base_url):
    default = get(base_url, "invoices").json()
    assert len(default["list"]) == 10
    dates = [entry["invoice"]["date"] for entry in default["list"]]
    assert dates == sorted(dates, reverse=True)
    pages = whole(base_url, "invoices", "invoice", limit=99, **{"sort_by[asc]": "updated_at"})
    updated = [body["updated_at"] for body in pages]
    assert updated == sorted(updated)
    assert len({body["id"] for body in pages}) == len(pages) > 200


def test_filters_and_deleted_records(base_url, world):
    since = int((world.now - timedelta(days=30)).timestamp())
    recent = whole(base_url, "subscriptions", "subscription", **{"updated_at[after]": since})
    assert 0 < len(recent) < len(world.billing.subscriptions)
    assert min(body["updated_at"] for body in recent) > since
    some = whole(base_url, "subscriptions", "subscription", **{"status[in]": '["cancelled","active"]'})
    assert {body["status"] for body in some} == {"cancelled", "active"}
    one = world.billing.customers[0].id
    requests.post(f"{base_url}/customers/{one}/delete", auth=AUTH, timeout=5).raise_for_status()
    assert get(base_url, "customers", **{"id[is]": one}).json()["list"] == []
    [gone] = get(base_url, "customers", include_deleted="true", **{"id[is]": one}).json()["list"]
    assert gone["customer"]["deleted"]
    world.billing.customers[0].deleted_at = None


@pytest.mark.parametrize(
    ("path", "params", "status", "code"),
    [
        ("customers", {"limit": 101}, 400, "param_wrong_value"),
        ("customers", {"limit": 0}, 400, "param_wrong_value"),
        ("customers", {"offset": "rubbish"}, 400, "param_wrong_value"),
        ("customers", {"colour[is]": "red"}, 400, "param_wrong_value"),
        ("customers", {"updated_at[since]": "5"}, 400, "param_wrong_value"),
        ("credit_notes", {"sort_by[asc]": "updated_at"}, 400, "param_wrong_value"),
        ("coupons", {"sort_by[asc]": "name"}, 400, "param_wrong_value"),
        ("invoices/none", {}, 404, "resource_not_found"),
        ("plans", {}, 404, "resource_not_found"),
    ],
)
def test_a_bad_request_gets_an_error_body(base_url, path, params, status, code):
    answer = get(base_url, path, **params)
    assert (answer.status_code, answer.json()["api_error_code"]) == (status, code)
    assert answer.json()["http_status_code"] == status
    assert answer.json()["message"]


def test_what_is_told_adds_up(base_url):
    """Lines make the total; credits and payments make what is due; credit notes go where they say."""
    invoices = {body["id"]: body for body in whole(base_url, "invoices", "invoice")}
    for body in invoices.values():
        lines = sum(line["amount"] - line["discount_amount"] for line in body["line_items"])
        assert lines + body["tax"] == body["total"]
        assert all(line["amount"] >= 0 for line in body["line_items"])
        if body["status"] not in ("voided", "pending"):
            paid = body["amount_paid"] + body["credits_applied"]
            assert body["total"] == paid + body["amount_due"]
        taken = [one["applied_amount"] for one in body["linked_payments"] if one["txn_status"] == "success"]
        assert sum(taken) == body["amount_paid"]
    notes = whole(base_url, "credit_notes", "credit_note")
    changes = [body for body in notes if body["reason_code"] == "subscription_change"]
    assert changes
    for body in changes:
        assert body["total"] == body["amount_allocated"] + body["amount_available"]
        assert body["reference_invoice_id"] in invoices
        for allocation in body["allocations"]:
            assert invoices[allocation["invoice_id"]]["credits_applied"] == allocation["allocated_amount"]


def test_trials_and_pauses_are_not_invoiced(base_url, world):
    told = whole(base_url, "invoices", "invoice", **{"subscription_id[is_not]": "none"})
    unbilled = [
        (one.id, since.timestamp(), until.timestamp())
        for one in world.billing.subscriptions
        for since, until in [
            *[(pause.paused_at, pause.resumed_at or one.ended_at or world.now) for pause in one.pauses],
            *([(one.trial_start, one.trial_end)] if one.trial_end else []),
        ]
    ]
    assert {key for key, _, _ in unbilled} & {one.id for one in world.billing.subscriptions if one.pauses}
    assert {key for key, _, _ in unbilled} & {one.id for one in world.billing.subscriptions if one.trial_end}
    for key, since, until in unbilled:
        dates = [body["date"] for body in told if body.get("subscription_id") == key]
        assert not [date for date in dates if since <= date < until]


def test_a_subscription_is_told_as_it_is_now(sandbox_server):
    world = simulate(seed=11, months=14, size=40)
    base_url = f"{sandbox_server(world)}/chargebee/api/v2"
    trial = next(one for one in world.billing.subscriptions if one.trial_end and one.ended_at is None)
    trial.status, trial.trial_end = "trialing", world.now + timedelta(days=5)
    trial.current_period_start, trial.current_period_end = trial.trial_start, trial.trial_end
    body = get(base_url, f"subscriptions/{trial.id}").json()["subscription"]
    assert (body["status"], body["next_billing_at"]) == ("in_trial", body["trial_end"])
    assert not {"current_term_start", "activated_at", "pause_date", "cancelled_at"} & body.keys()
    paused = next(one for one in world.billing.subscriptions if one.pauses and one.ended_at is None)
    paused.pauses[-1].resumed_at = None
    paused.updated_at = world.now
    paused.current_period_start = paused.pauses[-1].paused_at
    body = get(base_url, f"subscriptions/{paused.id}").json()["subscription"]
    assert body["status"] == "paused"
    assert body["pause_date"] == body["current_term_end"] > body["current_term_start"]
    assert "next_billing_at" not in body
