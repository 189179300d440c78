"""A person at the portal: fills in the same forms as a browser, one HTTP request after another."""

import re
from html.parser import HTMLParser
from typing import Any

import httpx

__all__ = ["Visitor"]

_CODE = re.compile(r"\b[A-Z0-9]{3,4}-?[A-Z0-9]{3,4}\b")


class _Forms(HTMLParser):
    """Collects every form's address and the values its fields hold."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, Any]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((values.get("action", ""), {}))
        elif tag in {"input", "textarea"} and self.forms and "name" in values:
            kind = values.get("type", "text")
            if kind in {"checkbox", "radio"} and "checked" not in values:
                self.forms[-1][1].setdefault(values["name"], [])
            elif kind != "submit":
                self.forms[-1][1][values["name"]] = values.get("value", "")


class Visitor:
    """One session of one person.

    Args:
        web: address of the portal.
        email: the person's e-mail address; its codes are read from the local mail page.
    """

    def __init__(self, web: str, email: str) -> None:
        self.email = email
        self.client = httpx.Client(base_url=web, follow_redirects=True, timeout=30)

    def sign_up(self, name: str) -> None:
        """Create the account with the code that arrives by mail, then the party called `name`."""
        self.submit("/accounts/signup/", "email", {"email": self.email})
        confirm = self._last.url.path
        self.submit(confirm, "code", {"code": self._mailed_code()})
        self.submit("/welcome/", "display_name", {"display_name": name})

    def opt_out(self, **fields: Any) -> None:
        """Fill in the opt-out form, look at the preview, and record it."""
        preview = self.submit("/opt-out/", "urls", fields)
        action, values = self._form(preview, "token")
        self._post(preview, action, {**values, "step": "record"})

    def make_key(self, name: str, scopes: list[str]) -> str:
        """Make an API key at the keys page; the secret that is shown once."""
        page = self.submit("/keys/new/", "scopes", {"name": name, "scopes": scopes})
        found = re.search(r'id="secret">([^<]+)<', page.text)
        if found is None:
            raise SystemExit("The keys page showed no secret.")
        return found[1]

    def submit(self, path: str, field: str, values: dict[str, Any]) -> httpx.Response:
        """Open a page, fill in the form that has `field`, send it, follow where it leads."""
        page = self.client.get(path)
        page.raise_for_status()
        action, filled = self._form(page, field)
        return self._post(page, action, {**filled, **values})

    def _form(self, page: httpx.Response, field: str) -> tuple[str, dict[str, Any]]:
        parser = _Forms()
        parser.feed(page.text)
        for action, values in parser.forms:
            if field in values and "csrfmiddlewaretoken" in values:
                return action, values
        raise SystemExit(f"{page.url} has no form with the field {field!r}:\n{page.text[-2000:]}")

    def _post(self, page: httpx.Response, action: str, values: dict[str, Any]) -> httpx.Response:
        self._last = self.client.post(action or page.url, data=values, headers={"Referer": str(page.url)})
        self._last.raise_for_status()
        return self._last

    def _mailed_code(self) -> str:
        page = self.client.get("/mail/")
        page.raise_for_status()
        mine = page.text[page.text.index(self.email) :]
        found = _CODE.search(mine, len(self.email))
        if found is None:
            raise SystemExit("No code has arrived at the mail page.")
        return found[0]
