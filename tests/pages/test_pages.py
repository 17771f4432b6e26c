#!/usr/bin/env python3
"""The pages in a real browser: Debian's Chromium, driven by Playwright, against avain behind nginx with TLS.

    target/venv/bin/python tests/pages/test_pages.py [--headed] [name …]

Every page that a flow comes to is photographed into target/pages/ (light and dark, wide and as on a phone) and examined
by axe-core, which must find nothing. One flow runs with scripts switched off: no page has any. Needs what
`tests/setup/install.sh pages` and `tests/setup/install.sh venv` install.
"""
import argparse
import re
import shutil
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "setup"))

from playwright.sync_api import sync_playwright  # noqa: E402
from stack import PROJECT, start_stack  # noqa: E402
import axe_playwright_python  # noqa: E402

PICTURES = PROJECT / "target" / "pages"
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
# WCAG 2.2 at level AA, and axe's own good practices.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PASSWORD = "Corr3ct-horse-9"
NEW_PASSWORD = "another-0ne-altogether"
PHONE = {"width": 360, "height": 740}
WIDE = {"width": 1100, "height": 800}
LARGEST = 30_000


def chromium():
    """The browser; Ubuntu calls it otherwise."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    raise SystemExit("no chromium on this machine: run tests/setup/install.sh pages")


class PageCase(unittest.TestCase):
    settings = {}
    headed = False

    @classmethod
    def setUpClass(cls):
        cls.directory = PROJECT / "target" / "pages" / "stack" / cls.__name__
        shutil.rmtree(cls.directory, ignore_errors=True)
        settings = {"passwords.algorithm": "pbkdf2_sha256", "passwords.pbkdf2_iterations": 1000, "site.name": "Harrastuspassi",
                    "throttle.account_failures": 3, "throttle.window": "10m", **cls.settings}
        cls.stack = start_stack(cls.directory, settings=settings, tls=True, before_start=cls.accounts)
        cls.addClassCleanup(cls.stack.stop)
        cls.playwright = sync_playwright().start()
        cls.addClassCleanup(cls.playwright.stop)
        cls.browser = cls.playwright.chromium.launch(
            executable_path=chromium(), headless=not cls.headed, args=["--no-sandbox", "--disable-dev-shm-usage"])
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def accounts(cls, stack):
        """Makes accounts before anything runs."""
        stack.add_user("aino", PASSWORD)

    def visitor(self, **options):
        """Somebody with a browser of their own."""
        context = self.browser.new_context(**{"base_url": self.stack.base_url, "ignore_https_errors": True, "viewport": WIDE,
                                              "locale": "en-GB", **options})
        context.set_default_timeout(20_000)
        self.addCleanup(context.close)
        page = context.new_page()
        page.on("requestfailed", lambda request: self.fail(f"{request.url}: {request.failure}"))
        page.on("console", lambda message: self.fail(message.text) if "Content Security Policy" in message.text else None)
        return page

    def sign_in(self, page, name="aino", password=PASSWORD):
        """Signs in on the page."""
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(password)
        with page.expect_navigation():
            page.get_by_role("button", name="Sign in").click()

    def examine(self, page, name):
        """Photographs the page as it is seen by several people, and has axe look at each view of it."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for scheme, view, viewport in (("light", "wide", WIDE), ("light", "phone", PHONE), ("dark", "wide", WIDE)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size(viewport)
            page.screenshot(path=PICTURES / f"{name}-{scheme}-{view}.png", full_page=True)
            width = page.evaluate("document.documentElement.scrollWidth")
            self.assertLessEqual(width, viewport["width"], f"{name} scrolls sideways on a {view} screen")
            page.evaluate(AXE)
            found = page.evaluate("rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", RULES)
            self.assertGreater(len(found["passes"]), 10, "axe has looked")
            told = [f"{v['id']}: {v['help']}: {[n['html'] for n in v['nodes']]}" for v in found["violations"]]
            self.assertEqual(told, [], f"{name}, {scheme}, {view}")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(WIDE)
        self.assertLessEqual(len(page.content().encode()), LARGEST, name)

    def read(self, authorization):
        """What a read of the protected API is answered."""
        client = self.playwright.request.new_context(base_url=self.stack.base_url, ignore_https_errors=True)
        try:
            return client.get("/api/v1/hobbies/", headers={"Authorization": authorization}).status
        finally:
            client.dispose()

    def wait_until(self, happened):
        """Waits for something, with a bound."""
        deadline = time.monotonic() + 10
        while not happened():
            self.assertLess(time.monotonic(), deadline, "it does not happen")
            time.sleep(0.05)

    def tab_to(self, page, wanted):
        """Presses Tab until what is wanted has the focus."""
        for _ in range(60):
            page.keyboard.press("Tab")
            if wanted(page.locator(":focus")):
                return
        self.fail("the focus never comes there")

    def press_to(self, page, role, name):
        """Goes to a link or button with the keyboard, and presses it."""
        target = page.get_by_role(role, name=name, exact=True)
        self.tab_to(page, lambda _: target.evaluate("element => element === document.activeElement"))
        page.keyboard.press("Enter")

    def mail(self):
        """The link in the mail that comes next."""
        folder, deadline = self.directory / "mail", time.monotonic() + 20
        while not (arrived := sorted(folder.glob("*.eml"))):
            self.assertLess(time.monotonic(), deadline, "no mail comes")
            time.sleep(0.05)
        text = arrived[0].read_text(encoding="utf-8").replace("=\n", "").replace("=3D", "=")
        arrived[0].unlink()
        return re.search(r"https://[^/\s]+(/accounts/[^\s\"<]+)", text).group(1)


class Members(PageCase):
    settings = {"sessions.acting": True}

    @classmethod
    def accounts(cls, stack):
        super().accounts(stack)
        stack.add_user("root", PASSWORD, "--superuser", "--staff")

    def test_sign_in_and_out(self):
        page = self.visitor()
        page.goto("/accounts/")
        self.assertIn("/accounts/login/?next=/accounts/", page.url)
        self.examine(page, "sign-in")
        self.sign_in(page)
        self.assertTrue(page.url.endswith("/accounts/"))
        self.examine(page, "account")
        cookies = {cookie["name"]: cookie for cookie in page.context.cookies()}
        self.assertTrue(cookies["sessionid"]["httpOnly"] and cookies["sessionid"]["secure"])
        self.assertEqual(cookies["sessionid"]["sameSite"], "Lax")
        answer = page.request.get("/auth/token/")
        self.assertEqual((answer.status, sorted(answer.json())), (200, ["access", "refresh"]))
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="You are signed out").wait_for()
        self.examine(page, "signed-out")
        self.assertEqual(page.request.get("/auth/token/").status, 401)

    def test_a_wrong_password_says_so_and_keeps_the_name(self):
        page = self.visitor()
        self.sign_in(page, "eino", "mistaken")
        self.assertIn("do not belong together", page.get_by_role("alert").inner_text())
        self.assertEqual(page.get_by_label("User name").input_value(), "eino")
        self.assertEqual(page.get_by_label("Password").input_value(), "")
        self.examine(page, "sign-in-wrong")
        # The browser itself asks for what is missing.
        page.get_by_label("User name").fill("")
        page.get_by_role("button", name="Sign in").click()
        self.assertEqual(page.locator(":focus").get_attribute("name"), "username")

    def test_guessing_is_told_when_to_try_again(self):
        page = self.visitor()
        for _ in range(4):
            self.sign_in(page, "guessed", "mistaken")
        self.assertRegex(page.get_by_role("alert").inner_text(), r"Try again in \d+ minutes, at \d\d:\d\d\.")
        self.examine(page, "sign-in-throttled")

    def test_profile_address_password_devices(self):
        self.stack.add_user("changing", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "changing")
        page.get_by_label("First name").fill("Väinö")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Your profile was saved.").wait_for()
        page.get_by_role("link", name="E-mail").click()
        self.examine(page, "email")
        page.get_by_label("New address").fill("vaino@example.org")
        page.get_by_label("Current password").fill("mistaken")
        page.get_by_role("button", name="Change the address").click()
        self.assertIn("not your current password", page.get_by_role("alert").inner_text())
        self.examine(page, "email-wrong")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_role("button", name="Change the address").click()
        page.get_by_text("Your address is vaino@example.org.").wait_for()
        other = self.visitor()
        self.sign_in(other, "changing")
        page.get_by_role("link", name="Devices").click()
        self.examine(page, "devices")
        page.get_by_role("link", name="Password").click()
        self.examine(page, "password")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password").fill("12345")
        page.get_by_label("The same password again").fill("123456")
        page.get_by_role("button", name="Change the password").click()
        self.examine(page, "password-wrong")
        page.get_by_label("Current password").fill(PASSWORD)
        page.get_by_label("New password").fill(NEW_PASSWORD)
        page.get_by_label("The same password again").fill(NEW_PASSWORD)
        page.get_by_role("button", name="Change the password").click()
        page.get_by_text("Your password was changed.").wait_for()
        self.examine(page, "password-changed")
        other.reload()
        self.assertIn("/accounts/login/", other.url)

    def test_several_addresses(self):
        self.stack.add_user("several", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "several")
        page.get_by_role("link", name="E-mail").click()
        page.get_by_role("link", name="Further addresses").click()
        page.get_by_label("E-mail address", exact=True).fill("further@example.org")
        page.get_by_role("button", name="Add the address").click()
        page.get_by_text("We have sent a link to further@example.org.").wait_for()
        self.examine(page, "address-added")
        page.get_by_role("link", name="All addresses").click()
        self.examine(page, "addresses")
        page.get_by_label("E-mail address", exact=True).fill("FURTHER@example.org")
        page.get_by_role("button", name="Add the address").click()
        self.assertIn("You have this address already.", page.get_by_role("alert").inner_text())
        self.examine(page, "addresses-wrong")
        page.get_by_role("link", name="Change the address further@example.org").click()
        page.get_by_role("button", name="Remove the address").click()
        page.get_by_text("The address was removed.").wait_for()
        self.assertEqual(page.get_by_text("further@example.org").count(), 0)

    def test_keys_are_made_changed_replaced_and_taken_back(self):
        self.stack.add_user("maker", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "maker")
        page.get_by_role("link", name="API keys").click()
        self.examine(page, "keys-none")
        page.get_by_label("Name", exact=True).fill("Nightly import")
        page.get_by_label("How long it lives").select_option(label="30 days")
        page.get_by_text("Let it do less than I may").click()
        page.get_by_label("From where it may be used").fill("example.org")
        page.get_by_role("button", name="Make the key", exact=True).click()
        self.assertIn("Write networks between spaces", page.get_by_role("alert").inner_text())
        self.assertEqual(page.get_by_label("Name", exact=True).input_value(), "Nightly import")
        self.examine(page, "keys-wrong")
        page.get_by_label("From where it may be used").fill("127.0.0.0/8")
        page.get_by_label("What it may do").fill("GET:/api/v1/**")
        page.get_by_role("button", name="Make the key", exact=True).click()
        key = page.locator("code.code").inner_text()
        self.examine(page, "keys-made")
        self.assertEqual(self.read(f"Token {key}"), 200)
        page.reload()
        self.assertIn("You have a key of this name already.", page.get_by_role("alert").inner_text())
        page.goto("/accounts/keys/")
        self.assertNotIn(key, page.content())
        page.get_by_role("link", name="Change the key Nightly import").click()
        self.examine(page, "key")
        page.get_by_label("Requests a minute at most").fill("600")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("The key was changed.").wait_for()
        page.get_by_label("The old one goes on for").select_option(label="1 day")
        page.get_by_role("button", name="Make its successor").click()
        successor = page.locator("code.code").inner_text()
        self.examine(page, "keys-replaced")
        self.assertEqual([self.read(f"Token {one}") for one in (key, successor)], [200, 200])
        page.get_by_role("link", name="Change the key Nightly import").last.click()
        page.get_by_role("button", name="Take the key back").click()
        page.get_by_text("The key was taken back.").wait_for()
        self.examine(page, "keys-taken-back")
        self.wait_until(lambda: self.read(f"Token {successor}") == 401)
        page.get_by_role("button", name="Make a classic key").click()
        classic = page.locator("code.code").inner_text()
        self.assertEqual(self.read(f"Token {classic}"), 200)
        self.examine(page, "keys-classic")
        page.get_by_role("button", name="Take it back").click()
        self.wait_until(lambda: self.read(f"Token {classic}") == 401)

    def test_tokens_for_scripts(self):
        self.stack.add_user("scripter", PASSWORD)
        page = self.visitor()
        page.goto("/v3/auth/tokens")
        page.get_by_label("User name").fill("scripter")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Tokens for scripts").wait_for()
        self.examine(page, "tokens-none")
        page.get_by_label("Name").fill("etl")
        page.get_by_role("button", name="Make the token").click()
        token = page.locator("code.code").inner_text()
        self.examine(page, "tokens-made")
        self.assertEqual(self.read(f"Bearer {token}"), 200)
        page.get_by_role("button", name="Revoke the token etl").click()
        page.get_by_text("The token was revoked.").wait_for()
        self.examine(page, "tokens-revoked")
        self.wait_until(lambda: self.read(f"Bearer {token}") == 401)

    def test_devices_programs_and_what_happened(self):
        self.stack.add_user("roaming", PASSWORD)
        page, other = self.visitor(), self.visitor()
        self.sign_in(page, "roaming")
        self.sign_in(other, "roaming")
        credentials = {"username": "roaming", "password": PASSWORD}
        answer = other.request.post("/api/token/", data=credentials, headers={"User-Agent": "Sampo/1.0"})
        refresh = answer.json()["refresh"]
        page.get_by_role("link", name="Devices").click()
        self.examine(page, "devices-programs")
        page.get_by_role("button", name="End the sign-in of Sampo/1.0").click()
        page.get_by_text("Done: it is signed out.").wait_for()
        self.assertEqual(page.request.post("/api/token/refresh/", data={"refresh": refresh}).status, 401)
        page.get_by_role("button", name="End all others").click()
        page.get_by_text("Done: it is signed out.").wait_for()
        other.reload()
        self.assertIn("/accounts/login/", other.url)
        page.get_by_role("link", name="Activity").click()
        self.assertIn("Signed out elsewhere", page.locator(".items li").first.inner_text())
        self.examine(page, "activity")

    def test_a_language_goes_with_the_account(self):
        self.stack.add_user("polyglot", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "polyglot")
        page.get_by_role("button", name="Suomi").click()
        self.assertEqual(page.get_by_role("heading", level=1).inner_text(), "Oma tili")
        for part in ("API-avaimet", "Tapahtumat", "Laitteet"):
            page.get_by_role("link", name=part).click()
            self.examine(page, f"{part.lower()}-fi")
        other = self.visitor(locale="sv-FI")
        other.goto("/accounts/login/")
        other.get_by_label("Användarnamn").fill("polyglot")
        other.get_by_label("Lösenord").fill(PASSWORD)
        other.get_by_role("button", name="Logga in").click()
        self.assertEqual(other.get_by_role("heading", level=1).inner_text(), "Oma tili")

    def test_a_key_with_the_keyboard_alone(self):
        self.stack.add_user("typist", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "typist")
        self.press_to(page, "link", "API keys")
        page.wait_for_url("**/accounts/keys/")
        self.tab_to(page, lambda focused: focused.get_attribute("name") == "name")
        page.keyboard.type("typed")
        page.keyboard.press("Tab")
        self.assertEqual(page.locator(":focus").get_attribute("name"), "life")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Tab")
        self.assertEqual(page.locator(":focus").inner_text(), "Let it do less than I may")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        self.assertEqual(page.locator(":focus").get_attribute("name"), "scope")
        page.screenshot(path=PICTURES / "keyboard-key.png", full_page=True)
        page.keyboard.type("GET:/api/v1/**")
        page.keyboard.press("Enter")
        key = page.locator("code.code").inner_text()
        self.assertEqual(self.read(f"Token {key}"), 200)
        self.tab_to(page, lambda focused: focused.get_attribute("aria-label") == "Change the key typed")
        page.keyboard.press("Enter")
        page.wait_for_url("**/accounts/keys/*/")
        self.press_to(page, "button", "Take the key back")
        page.get_by_text("The key was taken back.").wait_for()

    def test_keys_without_script(self):
        self.stack.add_user("scriptless", PASSWORD)
        page = self.visitor(java_script_enabled=False)
        self.sign_in(page, "scriptless")
        page.get_by_role("link", name="API keys").click()
        page.get_by_label("Name", exact=True).fill("plain")
        page.get_by_role("button", name="Make the key", exact=True).click()
        self.assertTrue(page.locator("code.code").inner_text().startswith("avn_"))
        page.get_by_role("link", name="Change the key plain").click()
        page.get_by_role("button", name="Take the key back").click()
        page.get_by_text("The key was taken back.").wait_for()
        page.get_by_role("link", name="Activity").click()
        self.assertIn("API key taken back", page.locator(".items li").first.inner_text())
        page.get_by_role("link", name="Devices").click()
        page.get_by_text("This device").wait_for()

    def test_a_stale_form_about_keys_keeps_what_was_typed(self):
        self.stack.add_user("slow", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "slow")
        page.goto("/accounts/keys/")
        page.get_by_label("Name", exact=True).fill("typed slowly")
        page.evaluate("document.querySelectorAll('[name=csrfmiddlewaretoken]').forEach(field => field.value = 'a'.repeat(64))")
        page.get_by_role("button", name="Make the key", exact=True).click()
        page.get_by_role("heading", name="Please send the form once more").wait_for()
        self.assertEqual(page.get_by_label("Name").input_value(), "typed slowly")
        self.examine(page, "stale-key")
        page.get_by_role("button", name="Send again").click()
        self.assertTrue(page.locator("code.code").inner_text().startswith("avn_"))

    def test_what_was_typed_outlives_the_session(self):
        self.stack.add_user("idler", PASSWORD)
        page = self.visitor()
        self.sign_in(page, "idler")
        page.get_by_label("First name").fill("Ilmari")
        page.context.clear_cookies(name="sessionid")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("You were signed out meanwhile").wait_for()
        self.examine(page, "signed-out-meanwhile")
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Sign in, in a new tab").click()
        tab = opened.value
        tab.get_by_label("User name").fill("idler")
        tab.get_by_label("Password").fill(PASSWORD)
        tab.get_by_role("button", name="Sign in").click()
        tab.wait_for_url("**/accounts/")
        page.get_by_role("button", name="Send again").click()
        page.get_by_role("heading", name="Please send the form once more").wait_for()
        page.get_by_role("button", name="Send again").click()
        page.get_by_text("Your profile was saved.").wait_for()
        self.assertEqual(page.get_by_label("First name").input_value(), "Ilmari")

    def test_another_language(self):
        page = self.visitor(locale="sv-FI")
        page.goto("/accounts/login/")
        self.assertEqual(page.get_by_role("heading", level=1).inner_text(), "Logga in")
        self.examine(page, "sign-in-sv")
        page.get_by_role("button", name="Suomi").click()
        self.assertEqual(page.get_by_role("heading", level=1).inner_text(), "Kirjaudu sisään")
        self.assertEqual(page.locator("html").get_attribute("lang"), "fi")
        self.examine(page, "sign-in-fi")
        page.reload()
        self.assertEqual(page.get_by_role("heading", level=1).inner_text(), "Kirjaudu sisään")

    def test_with_the_keyboard_alone(self):
        page = self.visitor()
        page.goto("/accounts/login/")
        # The form has the focus from the start.
        page.locator("[name=username]:focus").wait_for()
        page.keyboard.type("aino")
        page.keyboard.press("Tab")
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/accounts/")
        page.keyboard.press("Tab")
        self.assertEqual(page.locator(":focus").inner_text(), "Skip to the content")
        page.screenshot(path=PICTURES / "keyboard-skip.png")
        page.keyboard.press("Enter")
        seen = []
        for _ in range(12):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            seen.append(focused.get_attribute("name") or focused.inner_text())
            if seen[-1] == "first_name":
                break
        self.assertEqual(seen[0], "Profile", "the skip link leads past the header")
        self.assertEqual(seen[-1], "first_name")
        page.keyboard.press("Control+A")
        page.keyboard.type("Helmi")
        page.keyboard.press("Enter")
        page.get_by_text("Your profile was saved.").wait_for()

    def test_a_stale_form_is_offered_again(self):
        page = self.visitor()
        page.goto("/accounts/login/")
        page.get_by_label("User name").fill("aino")
        page.get_by_label("Password").fill(PASSWORD)
        page.context.clear_cookies()
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Please send the form once more").wait_for()
        self.assertEqual(page.get_by_label("User name").input_value(), "aino")
        self.assertEqual(page.get_by_label("Password").input_value(), "")
        self.examine(page, "stale")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Send again").click()
        page.wait_for_url("**/accounts/")

    def test_without_script(self):
        self.stack.add_user("plain", PASSWORD)
        page = self.visitor(java_script_enabled=False)
        self.sign_in(page, "plain")
        page.get_by_label("First name").fill("Plain")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Your profile was saved.").wait_for()
        page.get_by_role("button", name="Svenska").click()
        page.get_by_role("heading", name="Mitt konto").wait_for()
        page.get_by_role("button", name="Logga ut").click()
        page.get_by_role("heading", name="Du är utloggad").wait_for()

    def test_acting_as_somebody_and_back(self):
        page = self.visitor()
        self.sign_in(page, "root")
        page.goto("/accounts/acting/")
        self.examine(page, "acting-whom")
        page.get_by_label("User name of the other person").fill("aino")
        page.get_by_role("button", name="Act as them").click()
        page.get_by_text("You (root) are acting as aino.").wait_for()
        self.examine(page, "acting")
        page.get_by_role("button", name="Go back to being yourself").click()
        page.get_by_text("root@example.org").wait_for()
        self.assertEqual(page.get_by_text("are acting as").count(), 0)

    def test_what_is_not_there_looks_like_the_rest(self):
        page = self.visitor()
        self.assertEqual(page.goto("/accounts/no/such/page/").status, 404)
        self.examine(page, "not-found")


class Administrators(PageCase):
    settings = {"sessions.acting": True, "layouts.oauth.enabled": True}

    @classmethod
    def accounts(cls, stack):
        super().accounts(stack)
        stack.add_user("root", PASSWORD, "--superuser", "--staff")
        stack.add_user("boss", PASSWORD, "--staff")
        stack.cli("user", "create", "dozing", "--no-password", "--inactive", "--force")
        for number in range(30):
            stack.cli("user", "create", f"member{number:02}", "--no-password", "--force", "--email", f"member{number:02}@example.org")
        stack.add_token("aino")
        stack.cli("client", "create", "shop", "--scope", "read", "--grant", "client_credentials")

    def as_staff(self, name="root", **options):
        page = self.visitor(**options)
        page.goto("/sysadmin/login/")
        page.locator("#id_username").fill(name)
        page.locator("#id_password").fill(PASSWORD)
        page.locator("main button").click()
        page.wait_for_url("**/sysadmin/")
        return page

    def part(self, page, name):
        page.get_by_role("navigation", name="Administration").get_by_role("link", name=name, exact=True).click()

    def test_every_part(self):
        page = self.as_staff()
        self.assertEqual(page.request.get("/auth/token/").status, 200)
        page.reload()
        self.examine(page, "administration")
        self.assertEqual(page.locator("svg.chart").count(), 2)
        page.get_by_role("link", name="Refresh every 10 seconds").click()
        self.examine(page, "administration-live")
        page.get_by_role("link", name="Stop refreshing").click()
        for name in ("Accounts", "API keys", "Clients", "Signing keys", "Mail", "Audit", "Throttles"):
            self.part(page, name)
            self.examine(page, f"administration-{name.lower().replace(' ', '-')}")

    def test_an_account_from_making_to_deleting(self):
        page = self.as_staff()
        self.part(page, "Accounts")
        page.get_by_role("link", name="New account").click()
        self.examine(page, "administration-account-new")
        page.get_by_label("User name").fill("aino")
        page.get_by_role("button", name="Make the account").click()
        self.assertIn("This user name is taken.", page.get_by_role("alert").inner_text())
        self.examine(page, "administration-account-new-wrong")
        page.get_by_label("User name").fill("tuomas")
        page.get_by_label("E-mail address").fill("tuomas@example.org")
        page.get_by_role("button", name="Make the account").click()
        page.get_by_text("The account is made.").wait_for()
        self.examine(page, "administration-account")
        page.get_by_label("Last name").fill("Virtanen")
        page.get_by_role("button", name="Save").first.click()
        page.get_by_text("It is saved.").wait_for()
        page.get_by_label("Staff: may enter the administration").check()
        page.get_by_role("button", name="Save").last.click()
        page.get_by_text("The rank is saved.").wait_for()
        page.get_by_role("link", name="Password", exact=True).click()
        self.examine(page, "administration-account-password")
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_label("The same password again").fill(PASSWORD)
        page.get_by_role("button", name="Change the password").click()
        page.get_by_text("The password is set").wait_for()
        other = self.as_staff("tuomas")
        self.part(other, "Accounts")
        page.get_by_role("link", name="Keys and sign-ins").click()
        self.examine(page, "administration-account-access")
        page.get_by_role("button", name="End: ").first.click()
        page.get_by_text("It is ended.").wait_for()
        other.reload()
        self.assertIn("/sysadmin/login/", other.url)
        page.get_by_role("link", name="Account", exact=True).click()
        page.get_by_role("button", name="Switch off").click()
        page.get_by_text("The account is off").wait_for()
        page.get_by_role("link", name="Delete", exact=True).click()
        self.examine(page, "administration-account-delete")
        page.get_by_role("button", name="Delete the account").click()
        page.get_by_text("The account is deleted.").wait_for()
        page.get_by_label("Begins with").fill("TUO")
        page.get_by_role("button", name="Search").click()
        page.get_by_text("There is nothing of that kind.").wait_for()
        self.examine(page, "administration-accounts-none")

    def test_acting_from_the_administration(self):
        page = self.as_staff()
        page.goto("/sysadmin/auth/user/?q=aino")
        page.get_by_role("link", name="aino", exact=True).click()
        page.get_by_role("link", name="Act as this account").click()
        page.get_by_role("button", name="Act as them").click()
        page.get_by_text("You (root) are acting as aino.").wait_for()
        self.assertEqual(page.goto("/sysadmin/").status, 403)
        self.examine(page, "administration-not-for-members")

    def test_a_client_and_its_secret(self):
        page = self.as_staff()
        self.part(page, "Clients")
        page.get_by_role("link", name="New client").click()
        self.examine(page, "administration-client-new")
        page.get_by_label("Client id").fill("reports")
        page.get_by_label("Scopes").fill("read")
        page.get_by_label("client_credentials").check()
        page.get_by_role("button", name="Save").click()
        self.assertRegex(page.locator("code.code").inner_text(), r"^avcs_[\w-]{43}$")
        self.examine(page, "administration-client-made")
        self.part(page, "Clients")
        page.get_by_role("link", name="reports", exact=True).click()
        page.get_by_label("Scopes").fill("read write")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("It is saved.").wait_for()
        page.get_by_role("button", name="Another secret").click()
        page.locator("code.code").wait_for()
        page.get_by_label("Its secrets and tokens are refused at once").check()
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("The client is deleted.").wait_for()

    def test_with_the_keyboard_alone(self):
        page = self.as_staff("boss")

        def go(name):
            """Tabs until that has the focus."""
            for _ in range(60):
                page.keyboard.press("Tab")
                focused = page.locator(":focus")
                said = focused.get_attribute("aria-label") or focused.get_attribute("name") or focused.inner_text()
                if said == name:
                    return
            self.fail(f"no way to {name}")

        go("Accounts")
        page.keyboard.press("Enter")
        page.wait_for_url("**/auth/user/")
        go("q")
        page.keyboard.type("member0")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=member0**")
        go("member07")
        page.screenshot(path=PICTURES / "keyboard-administration.png")
        page.keyboard.press("Enter")
        page.wait_for_url("**/change/")
        go("first_name")
        page.keyboard.type("Helmi")
        page.keyboard.press("Enter")
        page.get_by_text("It is saved.").wait_for()
        self.assertEqual(page.get_by_label("First name").input_value(), "Helmi")

    def test_without_script(self):
        page = self.as_staff("boss", java_script_enabled=False)
        self.part(page, "Accounts")
        page.get_by_label("Begins with").fill("member")
        page.get_by_role("button", name="Search").click()
        page.get_by_role("link", name="Next page").click()
        page.get_by_role("link", name="member29", exact=True).click()
        page.get_by_role("button", name="Switch off").click()
        page.get_by_text("The account is off").wait_for()
        page.goto("/sysadmin/auth/user/?q=root")
        page.get_by_role("link", name="root", exact=True).click()
        page.get_by_text("only a superuser may change it").wait_for()

    def test_in_finnish_and_swedish(self):
        for language, heading in (("fi-FI", "Tilit"), ("sv-FI", "Konton")):
            page = self.as_staff(locale=language)
            page.goto("/sysadmin/auth/user/?q=a")
            page.get_by_role("heading", name=heading).wait_for()
            self.examine(page, f"administration-accounts-{language[:2]}")


class Newcomers(PageCase):
    settings = {"pages.links": True, "pages.registration": True, "account.activation": True, "account.email_change": "confirm"}

    def test_register_and_follow_the_link(self):
        page = self.visitor()
        page.goto("/accounts/login/")
        self.examine(page, "sign-in-with-registration")
        page.get_by_role("link", name="Create an account").click()
        self.examine(page, "register")
        page.get_by_label("User name").fill("aino")
        page.get_by_label("E-mail address").fill("uusi@example.org")
        page.get_by_label("Password", exact=True).fill("12345")
        page.get_by_label("The same password again").fill("1234")
        page.get_by_role("button", name="Create the account").click()
        self.examine(page, "register-wrong")
        page.get_by_label("User name").fill("uusi")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("The same password again").fill(PASSWORD)
        page.get_by_role("button", name="Create the account").click()
        page.get_by_role("heading", name="One more step").wait_for()
        self.examine(page, "register-mailed")
        page.goto(self.mail())
        self.examine(page, "activate")
        page.get_by_role("button", name="Switch it on").click()
        self.examine(page, "activated")
        page.get_by_role("link", name="Sign in").click()
        self.sign_in(page, "uusi")
        page.wait_for_url("**/accounts/")

    def test_a_forgotten_password(self):
        self.stack.add_user("forgetful", PASSWORD)
        page = self.visitor()
        page.goto("/accounts/login/")
        page.get_by_role("link", name="Forgotten your password?").click()
        self.examine(page, "forgotten")
        page.get_by_label("E-mail address", exact=True).fill("forgetful@example.org")
        page.get_by_role("button", name="Send a link").click()
        self.examine(page, "forgotten-mailed")
        link = self.mail()
        page.goto(link)
        self.examine(page, "reset")
        page.get_by_label("New password").fill(NEW_PASSWORD)
        page.get_by_label("The same password again").fill(NEW_PASSWORD)
        page.get_by_role("button", name="Set the password").click()
        page.get_by_role("heading", name="Your password is changed").wait_for()
        self.examine(page, "reset-done")
        page.goto(link)
        self.examine(page, "link-used")
        self.sign_in(page, "forgetful", NEW_PASSWORD)
        page.wait_for_url("**/accounts/")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--headed", action="store_true", help="show the browser")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    PageCase.headed = options.headed
    loader = unittest.TestLoader()
    loader.testNamePatterns = [f"*{name}*" for name in options.names] or None
    result = unittest.TextTestRunner(verbosity=2).run(loader.loadTestsFromModule(sys.modules[__name__]))
    print(f"pictures in {PICTURES}")
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
