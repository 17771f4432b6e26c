"""What the rules of deliberate.yaml allow and, above all, what they must not.

Each test is a conversation: the recorded answer and the given answer of each request, judged as the
replay judges them.
"""
import unittest
from unittest import mock

import ledger
from conversation import (BEARER, DEAD, DEAD_BEARER, HELLO, NO_ACCOUNT, OUR_ACCESS, OUR_PAIR, OURS,
                          PAIR, PATHS, PEER_ACCESS, PEER_PAIR, RULES, Conversation, again, facts,
                          refused, with_additions)
from recorded_peer import SEED, RecordedPeer
from replay import Replay
from rules import Rules
from runner.forge import Signing, fresh_rsa, jwt_parts, sign


class Case(unittest.TestCase):
    """Judges conversations."""

    def judged(self, conversation, *verdicts):
        """The last steps got these verdicts."""
        self.assertEqual(list(verdicts), conversation.verdicts()[-len(verdicts):])


class Peers(Case):
    """Flows, recordings and comparison agree with each other."""

    def test_a_peer_is_equal_to_its_own_recording(self):
        for system in ("harrastuspassi", "harrastuspassi-pinned", "simplejwt", "metax"):
            with self.subTest(system=system):
                score = self.replay(system)
                for flow, step, lines in ((f["id"], s["name"], lines) for v, f, s, lines
                                          in score.verdicts if v != "equal"):
                    self.fail("%s / %s: %s" % (flow, step, lines))
                self.assertGreater(len(score.verdicts), 20)

    def test_every_recorded_token_may_gain_kid_and_sid_and_nothing_else(self):
        def add(facts_):
            facts_.update(jwt=with_additions(facts_["jwt"])) if "jwt" in facts_ else None
        score = self.replay("simplejwt", add)
        self.assertEqual(0, score.of("different"))
        self.assertGreater(score.of("deliberate"), 5)

    def replay(self, system, change=None):
        """The score of a recorded peer, its failures made polite."""
        def polite(facts_):
            if facts_["status"] >= 500:
                facts_["status"] = 401
            if change:
                change(facts_)
        layers = ("auth", "resource")
        flows = [f for f in OURS.flows(system) if f["layer"] in layers]
        peer = RecordedPeer(OURS, system, flows, polite)
        alg = "RS256" if system == "simplejwt" else "HS256"
        private, public = fresh_rsa()
        peer.signing = Signing(alg, secret="s" * 40, private_pem=private, public_pem=public)
        return Replay(OURS, system, layers, RULES, peer).run(SEED)


class OwnAccounts(Case):
    """What owners do to their accounts over HTTP."""

    def signed_in(self):
        conversation = Conversation("djoser-modern")
        for who in ("amy", "bob"):
            conversation.step("POST {{P}}/jwt/create/", PEER_PAIR, OUR_PAIR,
                              json={"username": "{{%s.username}}" % who, "password": "x"},
                              capture={who + "_access": "json:access", who + "_rt": "json:refresh"})
        return conversation

    def changed(self, status=204):
        return self.signed_in().step("POST {{P}}/users/set_password/", facts(status),
                                     auth="Bearer {{amy_access}}", json={"new_password": "x"})

    def used(self, conversation, who):
        gone = facts(401, DEAD_BEARER, {"www-authenticate": "Token"})
        return conversation.step("GET {{P}}/users/me/", facts(200, {"username": who}), gone,
                                 auth="Bearer {{%s_access}}" % who)

    def test_a_new_password_ends_the_owners_tokens(self):
        self.judged(self.used(self.changed(), "amy"), "deliberate")

    def test_a_new_password_does_not_end_those_of_others(self):
        self.judged(self.used(self.changed(), "bob"), "different")

    def test_a_refused_password_ends_nothing(self):
        self.judged(self.used(self.changed(400), "amy"), "different")

    def test_a_deleted_owner(self):
        def deleted(who):
            return self.used(self.signed_in().step(
                "DELETE {{P}}/users/me/", facts(204), auth="Bearer {{amy_access}}", json={}), who)
        self.judged(deleted("amy"), "deliberate")
        self.judged(deleted("bob"), "different")

    def test_reading_ends_nothing(self):
        conversation = self.signed_in().step("GET {{P}}/users/me/", facts(200, {"username": "amy"}),
                                             auth="Bearer {{amy_access}}")
        self.judged(self.used(conversation, "amy"), "different")

    def test_the_refresh_endpoint_challenges_as_jwts_do(self):
        def refreshed(challenge):
            given = facts(401, DEAD, {"www-authenticate": challenge})
            return self.changed().step("POST {{P}}/jwt/refresh/", PEER_ACCESS, given,
                                       json={"refresh": "{{amy_rt}}"})
        self.judged(refreshed('Bearer realm="api"'), "deliberate")
        self.judged(refreshed("Token"), "different")

    def test_links_serve_only_their_purpose(self):
        endpoints = RULES.endpoints("djoser-modern", PATHS["djoser-modern"]["vars"])
        book = ledger.Ledger(endpoints)
        book.links = {"r": ("amy", "reset-password"), "a": ("amy", "activate")}
        for secret, endpoint, state in (("r", "reset-password", None), ("r", "activate", "foreign"),
                                        ("a", "activate", None), ("a", "reset-password", "foreign"),
                                        ("unknown", "reset-username", None)):
            exchange = mock.Mock(body=b'{"token": "%s"}' % secret.encode())
            self.assertEqual(state, book.link(exchange, endpoint), (secret, endpoint))


class Accounts(Case):
    """Where dj-rest-auth stores what does not fit, logs nobody out, and mistakes one for somebody else."""

    def test_an_address_longer_than_its_column(self):
        def registered(length, status=400):
            body = {"username": "new", "email": "a" * (length - 12) + "@example.com"}
            too_long = {"email": ["Ensure this field has no more than 254 characters."]}
            return Conversation("dra-token").step("POST {{P}}/register/", facts(201, {"detail": "Verification e-mail sent."}),
                                                  facts(status, too_long), json=body)
        self.judged(registered(255), "deliberate")
        self.judged(registered(254), "different")
        self.judged(registered(255, 401), "different")

    def test_signing_out_with_null(self):
        def signed_out(value):
            ours = facts(401, {"detail": "Refresh token was not included in request data."})
            return Conversation("dra-jwt").step("POST {{P}}/logout/", facts(200, {"detail": "Successfully logged out."}),
                                                ours, json={"refresh": value})
        self.judged(signed_out(None), "deliberate")
        self.judged(signed_out("x"), "different")

    def test_ones_own_name(self):
        def renamed(name):
            taken = facts(400, {"username": ["A user with that username already exists."]})
            login = facts(200, {"key": "<hex40>"})
            return Conversation("dra-token").step(
                "POST {{P}}/login/", login, login, json={"username": "{{amy.username}}", "password": "x"},
                capture={"key": "json:key"}).step(
                "PATCH {{P}}/user/", taken, facts(200, {"username": "x"}), auth="Token {{key}}", json={"username": name})
        self.judged(renamed("{{amy.username|upper}}"), "deliberate")
        self.judged(renamed("{{bob.username}}"), "different")


class Additions(Case):
    """kid and sid, and nothing else."""

    def obtained(self, change):
        tokens = with_additions(PAIR)
        change(tokens)
        given = facts(200, OUR_PAIR["body"]["value"], jwt=tokens)
        return Conversation("simplejwt").step("POST {{P}}/", PEER_PAIR, given)

    def test_kid_and_sid(self):
        self.judged(self.obtained(lambda t: None), "deliberate")

    def test_an_empty_sid(self):
        self.judged(self.obtained(lambda t: t["access"]["claims"].update(sid="")), "different")

    def test_a_further_claim(self):
        self.judged(self.obtained(lambda t: t["access"]["claims"].update(scope="all")), "different")

    def test_another_type_of_the_user_claim(self):
        self.judged(self.obtained(lambda t: t["access"]["claims"].update(user_id="<int>")),
                    "different")

    def test_a_missing_claim(self):
        self.judged(self.obtained(lambda t: t["refresh"]["claims"].pop("iat")), "different")

    def test_another_lifetime(self):
        self.judged(self.obtained(lambda t: t["access"].update(lifetime_s=600)), "different")

    def test_another_algorithm(self):
        self.judged(self.obtained(lambda t: t["access"]["header"].update(alg="none")), "different")


class LastSlash(Case):
    """A missing last slash."""
    REDIRECT = facts(301, headers={"location": "/api/token/"})
    NOT_ALLOWED = facts(405, {"detail": "Method \"GET\" not allowed."}, {"allow": ["OPTIONS", "POST"]})

    def asked(self, method, *ours):
        conversation = Conversation("simplejwt").step(method + " {{P}}", self.REDIRECT, ours[0])
        conversation.answers += ours[1:]
        return conversation

    def test_the_answer_of_the_slashed_path(self):
        self.judged(self.asked("GET", self.NOT_ALLOWED, self.NOT_ALLOWED), "deliberate")
        self.judged(self.asked("POST", OUR_PAIR), "deliberate")

    def test_another_answer_than_the_slashed_path(self):
        self.judged(self.asked("GET", facts(401, {}), self.NOT_ALLOWED), "different")

    def test_not_found_and_failures(self):
        gone = facts(404, {"detail": "Not found."})
        self.judged(self.asked("GET", gone, gone), "different")
        self.judged(self.asked("POST", facts(500)), "different")

    def test_a_redirect_elsewhere(self):
        away = facts(302, headers={"location": "/accounts/login/"})
        self.judged(self.asked("GET", away, away), "different")

    def test_a_redirect_that_is_not_about_the_slash(self):
        conversation = Conversation("simplejwt").step(
            "POST {{P}}", facts(301, headers={"location": "/new/"}), OUR_PAIR)
        self.judged(conversation, "different")


class Rotation(Case):
    """Retries inside the grace period, reuse, and its consequences."""

    def rotated(self):
        """r1 -> r2; answers 0 and 1."""
        return Conversation("simplejwt").obtain().refresh("rt", PEER_PAIR, OUR_PAIR, "r2")

    def test_a_lost_answer_is_repeated(self):
        self.judged(self.rotated().refresh("rt", refused(DEAD), again(1)), "deliberate")

    def test_an_equal_refusal_is_equal(self):
        self.judged(self.rotated().refresh("rt", refused(DEAD)), "equal")

    def test_a_forged_copy_of_a_rotated_token(self):
        conversation = self.rotated().forge(made={"from": "rt", "set": {"role": "admin"}})

        def copied(given):
            first = given[1].json()
            header, claims = jwt_parts(first["access"])
            claims["role"] = "admin"
            return again(1, access=sign(header, claims, "HS256", b"k"))(given)
        self.judged(conversation.refresh("made", refused(DEAD), copied), "deliberate")
        self.judged(self.rotated().refresh("rt", refused(DEAD), copied), "different")

    def test_a_second_successor(self):
        self.judged(self.rotated().refresh("rt", refused(DEAD), OUR_PAIR), "different")

    def test_a_repeated_answer_without_refresh_token(self):
        self.judged(self.rotated().refresh("rt", refused(DEAD), OUR_ACCESS), "different")

    def test_a_retry_after_the_successor_was_used(self):
        conversation = self.rotated().refresh("r2", PEER_PAIR, OUR_PAIR, "r3")
        self.judged(conversation.refresh("rt", refused(DEAD), again(1)), "different")

    def test_a_retry_after_the_grace_period(self):
        with mock.patch.object(ledger, "GRACE", -1.0):
            self.judged(self.rotated().refresh("rt", refused(DEAD), again(1)), "different")

    def test_reuse_ends_the_family(self):
        conversation = self.rotated().refresh("r2", PEER_PAIR, OUR_PAIR, "r3")
        conversation.refresh("rt", refused(DEAD))
        conversation.use("access", HELLO, refused(DEAD_BEARER))
        conversation.verify("access", facts(200, {}),
                            facts(400, {"non_field_errors": ["Token is blacklisted"]}))
        conversation.refresh("r3", PEER_PAIR, refused(DEAD), "r4")
        conversation.refresh("r4", PEER_PAIR, ...)
        self.judged(conversation, "equal", "deliberate", "deliberate", "deliberate", "deliberate")

    def test_reuse_at_blacklisting_ends_the_family(self):
        conversation = self.rotated().refresh("r2", PEER_PAIR, OUR_PAIR, "r3")
        conversation.blacklist("rt", refused(DEAD)).refresh("r3", PEER_PAIR, refused(DEAD))
        self.judged(conversation, "equal", "deliberate")

    def test_signing_out_after_a_lost_answer(self):
        conversation = self.rotated().blacklist("rt", refused(DEAD), facts(200, {}))
        self.judged(conversation.use("access", HELLO, refused(DEAD_BEARER)), "deliberate", "deliberate")
        late = self.rotated().refresh("r2", PEER_PAIR, OUR_PAIR, "r3")
        self.judged(late.blacklist("rt", refused(DEAD), facts(200, {})), "different")

    def test_a_family_that_ends_without_reuse(self):
        conversation = self.rotated().refresh("r2", PEER_PAIR, refused(DEAD), "r3")
        conversation.refresh("r3", PEER_PAIR, ...)
        self.judged(conversation, "different", "different")

    def test_a_refused_retry_does_not_excuse_an_ended_family(self):
        conversation = self.rotated().refresh("rt", refused(DEAD))
        self.judged(conversation.refresh("r2", PEER_PAIR, refused(DEAD)), "different")

    def test_another_family_of_the_same_account(self):
        conversation = self.rotated().obtain("_other").refresh("r2", PEER_PAIR, OUR_PAIR, "r3")
        conversation.refresh("rt", refused(DEAD)).use("access_other", HELLO, refused(DEAD_BEARER))
        self.judged(conversation, "equal", "different")

    def test_the_peer_that_does_not_rotate(self):
        conversation = Conversation("harrastuspassi").obtain().refresh("rt", PEER_ACCESS, OUR_ACCESS)
        self.judged(conversation.refresh("rt", PEER_ACCESS, refused(DEAD)), "deliberate", "different")


class Revocation(Case):
    """Credentials that the peers leave alive."""

    def test_blacklisting_ends_access_tokens(self):
        conversation = Conversation("simplejwt").obtain().blacklist("rt", facts(200, {}))
        conversation.use("access", HELLO, refused(DEAD_BEARER))
        conversation.use("access", facts(200), facts(401, headers=BEARER), method="HEAD")
        conversation.use("access", facts(405, {}, {"allow": ["GET"]}), refused(DEAD_BEARER),
                         method="POST")
        self.judged(conversation, "deliberate", "deliberate", "deliberate")

    def test_blacklisting_a_token_that_is_dead_already(self):
        conversation = self.changed("simplejwt", password="another-Passw0rd")
        self.judged(conversation.blacklist("rt", facts(200, {}), refused(DEAD)), "deliberate")
        self.judged(Conversation("simplejwt").obtain().blacklist("rt", facts(200, {}), refused(DEAD)),
                    "different")

    def test_an_account_that_is_on_again(self):
        conversation = self.changed("simplejwt", is_active=False)
        conversation.hook(op="set-user", username="{{amy.username}}", set={"is_active": True})
        conversation.use("access", HELLO, refused(DEAD_BEARER))
        conversation.refresh("rt", PEER_PAIR, refused(NO_ACCOUNT))
        conversation.refresh("rt", PEER_PAIR, refused(DEAD))
        self.judged(conversation, "deliberate", "different", "deliberate")

    def test_a_refused_blacklisting_ends_nothing(self):
        conversation = Conversation("simplejwt").obtain().blacklist("access", refused({"detail": "x"}))
        self.judged(conversation.use("access", HELLO, refused(DEAD_BEARER)), "different")

    def test_a_good_token_refused(self):
        self.judged(Conversation("simplejwt").obtain().use("access", HELLO, refused(DEAD_BEARER)),
                    "different")
        self.judged(Conversation("simplejwt").obtain().verify(
            "access", facts(200, {}), facts(400, {"non_field_errors": ["Token is blacklisted"]})),
            "different")

    def test_a_dead_token_refused_in_other_words(self):
        wrong = [facts(401, DEAD_BEARER), refused(DEAD), refused(DEAD_BEARER, 403), facts(500),
                 refused({**DEAD_BEARER, "code": "x"}), facts(404, {"detail": "Not found."}),
                 facts(401, DEAD_BEARER, {"www-authenticate": "Token"}),
                 facts(401, DEAD_BEARER, {**BEARER, "location": "/"}), facts(200, {"message": "no"})]
        for given in wrong:
            with self.subTest(given=given):
                conversation = Conversation("simplejwt").obtain().blacklist("rt", facts(200, {}))
                self.judged(conversation.use("access", HELLO, given), "different")

    def changed(self, system, **changes):
        conversation = Conversation(system).obtain()
        return conversation.hook(op="set-user", username="{{amy.username}}", set=changes)

    def test_a_change_of_password_ends_tokens(self):
        conversation = self.changed("harrastuspassi", password="another-Passw0rd")
        conversation.use("access", HELLO, refused(DEAD_BEARER))
        conversation.refresh("rt", PEER_ACCESS, refused(DEAD))
        self.judged(conversation, "deliberate", "deliberate")

    def test_tokens_from_after_the_change(self):
        conversation = self.changed("harrastuspassi", password="another-Passw0rd").obtain("_new")
        self.judged(conversation.use("access_new", HELLO, refused(DEAD_BEARER)), "different")

    def test_tokens_of_another_account(self):
        conversation = Conversation("harrastuspassi").obtain().obtain("_bob", who="bob")
        conversation.hook(op="set-user", username="{{bob.username}}", set={"is_active": False})
        self.judged(conversation.use("access", HELLO, refused(DEAD_BEARER)), "different")

    def test_a_change_that_is_no_reason(self):
        conversation = self.changed("harrastuspassi", email="new@example.com")
        self.judged(conversation.use("access", HELLO, refused(DEAD_BEARER)), "different")

    def test_an_anonymous_request(self):
        conversation = self.changed("harrastuspassi", password="another-Passw0rd")
        conversation.step("GET {{RESOURCE}}", facts(200, {"as": None}), refused(DEAD_BEARER))
        self.judged(conversation, "different")

    def test_the_pinned_generation_refreshes_for_accounts_that_are_off(self):
        off = self.changed("harrastuspassi-pinned", is_active=False)
        self.judged(off.refresh("rt", PEER_ACCESS, refused(NO_ACCOUNT)), "deliberate")
        on = Conversation("harrastuspassi-pinned").obtain()
        self.judged(on.refresh("rt", PEER_ACCESS, refused(NO_ACCOUNT)), "different")
        current = self.changed("harrastuspassi", is_active=False)
        self.judged(current.refresh("rt", PEER_ACCESS, refused(NO_ACCOUNT)), "different")

    def test_verification_for_accounts_that_are_off_or_deleted(self):
        dead = facts(400, {"non_field_errors": ["Token is blacklisted"]})
        off = self.changed("simplejwt", is_active=False)
        self.judged(off.verify("access", facts(200, {}), dead), "deliberate")
        deleted = Conversation("simplejwt").obtain()
        deleted.hook(op="delete-user", username="{{amy.username}}")
        self.judged(deleted.verify("rt", facts(200, {}), dead), "deliberate")
        self.judged(deleted.verify("rt", facts(200, {}), refused(DEAD)), "deliberate", "different")

    def test_an_account_that_does_not_exist(self):
        dead = facts(400, {"non_field_errors": ["Token is blacklisted"]})
        forged = {"from": "access", "set": {"user_id": "99999999"}}
        conversation = Conversation("simplejwt").obtain().forge(ghost=forged)
        conversation.verify("ghost", facts(200, {}), dead)
        conversation.use("ghost", HELLO, refused(DEAD_BEARER))
        self.judged(conversation, "deliberate", "different")

    def test_a_refresh_token_made_by_hand(self):
        for source in ({"from": "access", "set": {"token_type": "refresh"}},
                       {"from": "rt", "set": {"jti": "0" * 32}}):
            with self.subTest(source=source):
                conversation = Conversation("simplejwt").obtain().forge(made=source)
                conversation.verify("made", facts(200, {}),
                                    facts(400, {"non_field_errors": ["Token is blacklisted"]}))
                conversation.refresh("made", PEER_PAIR, refused(DEAD))
                conversation.refresh("rt", PEER_PAIR, refused(DEAD))
                self.judged(conversation, "deliberate", "deliberate", "deliberate")

    def test_times_as_text(self):
        forged = {"from": "access", "set": {"iat": "1"}}
        words = DEAD_BEARER["messages"][0]
        invalid = {**DEAD_BEARER, "messages": [{**words, "message": "Token is invalid"}]}
        conversation = Conversation("simplejwt").obtain().forge(made=forged)
        conversation.use("made", HELLO, refused(invalid)).use("access", HELLO, refused(invalid))
        self.judged(conversation, "deliberate", "different")
        answer = refused({"detail": "Token is invalid", "code": "token_not_valid"})
        conversation.verify("made", facts(200, {}), answer).verify("access", facts(200, {}), answer)
        self.judged(conversation, "deliberate", "different")

    def test_a_deleted_account_at_blacklisting(self):
        deleted = Conversation("simplejwt").obtain()
        deleted.hook(op="delete-user", username="{{amy.username}}")
        self.judged(deleted.blacklist("rt", facts(200, {}), refused(NO_ACCOUNT)), "deliberate")
        off = self.changed("simplejwt", is_active=False)
        self.judged(off.blacklist("rt", facts(200, {}), refused(NO_ACCOUNT)), "different")

    def test_a_forged_copy_counts_as_the_token_it_was_made_from(self):
        conversation = Conversation("simplejwt").obtain().blacklist("rt", facts(200, {}))
        conversation.forge(made={"from": "access", "set": {"role": "admin"}})
        self.judged(conversation.use("made", HELLO, refused(DEAD_BEARER)), "deliberate")


class Others(Case):
    """The remaining rules and the engine's own checks."""

    def test_large_bodies(self):
        def post(bytes_):
            return Conversation("simplejwt").step(
                "POST {{P}}/", refused({"detail": "x"}), facts(413, {"detail": "y"}),
                json={"username": "a" * bytes_, "password": "b"})
        self.judged(post(70_000), "deliberate")
        self.judged(post(6_000), "different")

    def test_methods_that_never_reach_us(self):
        page = {**facts(405), "body": {"kind": "html"}}
        peer = facts(405, {"detail": "Method \"TRACE\" not allowed."}, {"allow": ["OPTIONS", "POST"]})
        self.judged(Conversation("simplejwt").step("TRACE {{P}}/", peer, page), "deliberate")
        self.judged(Conversation("simplejwt").step("PUT {{P}}/", peer, page), "different")

    def test_options_behind_the_gate(self):
        def asked(do, peer, ours):
            return Conversation("simplejwt").step(do, peer, ours)
        allow = {"allow": ["GET", "HEAD", "OPTIONS"]}
        detail = {"detail": "Authentication credentials were not provided."}
        peer = facts(401, detail, {**BEARER, **allow})
        self.judged(asked("OPTIONS {{RESOURCE}}", peer, refused(detail)), "deliberate")
        self.judged(asked("OPTIONS {{RESOURCE}}", facts(200, {}, allow), facts(200, {})), "different")
        self.judged(asked("OPTIONS {{P}}/", peer, refused(detail)), "different")
        other = facts(401, detail, {**BEARER, "allow": ["POST"]})
        self.judged(asked("OPTIONS {{RESOURCE}}", peer, other), "different")

    def test_a_difference_beside_an_allowed_one(self):
        tokens = with_additions(PAIR)
        given = facts(200, {**OUR_PAIR["body"]["value"], "user": 1}, jwt=tokens)
        self.judged(Conversation("simplejwt").step("POST {{P}}/", PEER_PAIR, given), "different")

    def test_ill_formed_rules_are_refused(self):
        document = {"challenges": {}, "endpoints": {"refresh": {}}}
        good = {"name": "n", "why": "w", "peer": {"status": [200]}, "ours": [{"like": "slashed"}]}
        Rules({**document, "rules": [good]})
        for change in ({"why": ""}, {"when": {"endet": ["reuse"]}}, {"when": {"ended": ["re-use"]}},
                       {"endpoints": ["refrehs"]}, {"may": []}, {"ours": [{"status": 401}]},
                       {"step": "x"}):
            with self.subTest(change=change), self.assertRaises(ValueError):
                Rules({**document, "rules": [{**good, **change}]})

    def test_endpoints_by_path(self):
        endpoints = RULES.endpoints("simplejwt", PATHS["simplejwt"]["vars"])
        self.assertEqual("obtain", endpoints.name("/api/token/?next=/x"))
        self.assertEqual("refresh", endpoints.name("/api/token/refresh"))
        self.assertIsNone(endpoints.name("/api/token//"))
        self.assertIsNone(endpoints.name("/api/tokens/"))


if __name__ == "__main__":
    unittest.main()
