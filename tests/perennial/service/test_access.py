"""Who may use the server of `perennial up`: attacks on a running one, and the rules on their own."""

import asyncio
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest

from flows.deployed import read_served
from perennial.pipeline.settings.store import SettingsError
from perennial.service.access import OwnPagesOnly, Served, protection
from perennial.service.scheduler import api_client
from perennial.service.server import _free_port
from tests.perennial.pipeline.runtime.test_notify import webhook  # noqa: F401  # a fixture
from tests.perennial.service.serving import Up
from tests.reports.browser import needs_browser, open_browser
from tests.shops import PLAIN, write_shop

EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("access")
    config = write_shop(folder, settings=PLAIN)
    more = f'[schedule]\nport = {_free_port()}\ndaily = "off"\ntrain = "off"\nmonitor = "off"\n'
    config.write_text(config.read_text() + more)
    up = Up.start(config, PERENNIAL_WEBHOOK_TOKEN="tok_of_the_service")  # noqa: S106  # of nothing
    try:
        up.wait_for("serving")
        yield up
        up.stop()
    finally:
        up.end()


@pytest.fixture
def browser():
    with open_browser() as opened:
        yield opened


def ask(up, method, path, **more):
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.request(method, f"{up.api_url}{path}", **more)


def nightly(up):
    return next(d["id"] for d in up.ask("deployments/filter", {}) if d["name"] == "nightly")


@pytest.mark.slow
@pytest.mark.parametrize(
    "origin", [EVIL, "null", "http://127.0.0.1:1", "http://localhost.evil.example"]
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", "/deployments/filter"),
        ("POST", "/deployments/filter"),
        ("GET", "/csrf-token?client=x"),
        ("GET", "/admin/settings"),
    ],
)
def test_another_sites_page_is_refused(up, origin, method, path):
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = ask(up, method, path, headers=asked)
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "access-control-allow-origin" not in answer.headers
    assert "own pages" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/events/in", "/events/out", "/logs/out"])
def test_another_sites_page_opens_no_websocket(up, path):
    asked = {
        "Origin": EVIL, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "prefect",
    }  # fmt: skip
    assert ask(up, "GET", path, headers=asked).status_code == HTTPStatus.FORBIDDEN


@pytest.mark.slow
@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1.evil.example:{port}",
        "10.0.0.1:{port}",
        "",
    ],
)
def test_a_foreign_name_of_this_machine_is_refused(up, host):
    asked = {"Host": host.format(port=httpx.URL(up.api_url).port)}
    for path in ("/health", "/csrf-token?client=x"):
        answer = ask(up, "GET", path, headers=asked)
        assert answer.status_code == HTTPStatus.FORBIDDEN
        assert "Host" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/deployments/filter"),
        ("POST", "/deployments/{id}/create_flow_run"),
        ("POST", "/deployments/{id}/pause_deployment"),
        ("PATCH", "/deployments/{id}"),
        ("DELETE", "/deployments/{id}"),
        ("POST", "/events"),
    ],
)
@pytest.mark.parametrize("headers", [{}, {"Prefect-Csrf-Token": "x", "Prefect-Csrf-Client": "x"}])
def test_a_change_without_a_token_is_refused(up, method, path, headers):
    asked = path.format(id=nightly(up))
    answer = ask(up, method, asked, headers=headers, content="{}")
    assert answer.status_code == HTTPStatus.FORBIDDEN
    assert "CSRF" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nightly", "weekly", "daily"])
def test_foreign_settings_are_not_run(up, webhook, tmp_path, name):  # noqa: F811
    evil = tmp_path / "perennial.toml"
    evil.write_text(
        f'[orders]\nsource = "none.csv"\n[notify]\nwebhook = "{webhook.url}"\n[paths]\nhome = "out"\n'
    )
    one = next(d for d in up.ask("deployments/filter", {}) if d["name"] == name)
    asked = {"parameters": {"config": str(evil)}}
    run = up.ask(f"deployments/{one['id']}/create_flow_run", asked)
    flow = {"nightly": "daily", "weekly": "train", "daily": "monitor"}[name]
    ended = up.wait_for_run(f"{flow}/{name}", "FAILED")
    assert ended["id"] == run["id"]
    assert "no other settings" in ended["state"]["message"]
    assert not (tmp_path / "out").exists()
    assert webhook.got == []


@pytest.mark.slow
def test_programs_on_this_machine_are_served(up):
    with api_client(up.api_url) as client:
        assert client.post(f"{up.api_url}/deployments/filter", json={}).json()
    for host in ("localhost", "127.0.0.1", "[::1]:1"):
        assert ask(up, "GET", "/health", headers={"Host": host}).is_success


@pytest.mark.slow
def test_its_own_pages_are_allowed(up):
    port = httpx.URL(up.api_url).port
    for origin in (f"http://127.0.0.1:{port}", f"http://localhost:{port}"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = ask(up, "OPTIONS", "/deployments/filter", headers=asked)
        assert answer.headers["access-control-allow-origin"] == origin
    ui = httpx.get(up.api_url.removesuffix("/api") + "/ui-settings", trust_env=False).json()
    assert (ui["csrf_enabled"], ui["api_url"]) == (True, up.api_url)


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_its_pages_work_in_a_browser(up, browser, name):
    page = browser.new_page()
    refused = []
    page.on("response", lambda r: refused.append(r.url) if r.status >= 400 else None)
    page.goto(f"http://{name}:{httpx.URL(up.api_url).port}/deployments")
    page.get_by_text("nightly").first.wait_for(timeout=60_000)
    page.close()
    assert [url for url in refused if "/api/" in url] == []


@pytest.mark.slow
@needs_browser
def test_another_sites_page_cannot_use_it_in_a_browser(up, browser):
    page = browser.new_page()
    page.route(
        f"{EVIL}/**", lambda route: route.fulfill(body="<p>hello</p>", content_type="text/html")
    )
    page.goto(f"{EVIL}/")
    tried = page.evaluate(
        """url => Promise.all([
            fetch(url + "/csrf-token?client=x").then(r => r.text(), () => "refused"),
            fetch(url + "/deployments/filter", {method: "POST", body: "{}"}).then(r => r.text(), () => "refused"),
            new Promise(end => { const s = new WebSocket(url.replace("http", "ws") + "/events/out", "prefect");
                                 s.onopen = () => end("opened"); s.onerror = () => end("refused"); }),
        ])""",
        up.api_url,
    )
    page.close()
    assert tried == ["refused"] * 3


def answer_of(served, kind="http", **headers):
    """What a guarded application answers, which by itself says 200."""
    messages = []

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive():
        return {"type": f"{kind}.connect"}

    async def send(message):
        messages.append(message)

    named = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(OwnPagesOnly(app, served)({"type": kind, "headers": named}, receive, send))
    return messages[0].get("status", messages[0]["type"])


def test_a_proxys_address_is_allowed_where_it_is_named():
    api = "https://Prefect.shop.example/api"
    for name in ("PREFECT_UI_API_URL", "PREFECT_SERVER_UI_API_URL"):
        served = Served.on(4200, {name: api})
        assert answer_of(served, host="prefect.shop.example") == 200
        own = {"host": "127.0.0.1:4200", "origin": "https://prefect.shop.example"}
        assert answer_of(served, **own) == 200
        assert (
            "https://prefect.shop.example"
            in protection(served)["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"]
        )
        assert answer_of(served, host="shop.example") == 403
        assert answer_of(served, kind="websocket", host="shop.example") == "websocket.close"
    assert answer_of(Served.on(4200, {}), host="prefect.shop.example") == 403


def test_a_browser_leaves_out_the_default_port():
    assert "http://localhost" in Served.on(80, {}).origins
    assert "http://localhost" not in Served.on(4200, {}).origins


def test_a_worker_reads_the_served_file_and_no_other(tmp_path, monkeypatch):
    served = write_shop(tmp_path)
    (tmp_path / "other").mkdir()
    other = write_shop(tmp_path / "other")
    link = tmp_path / "link.toml"
    link.symlink_to(other)
    monkeypatch.setenv("PERENNIAL_SERVED_SETTINGS", str(served))
    assert read_served(served).home == tmp_path
    assert read_served(tmp_path / "other" / ".." / served.name).home == tmp_path
    for foreign in (other, link, Path("/etc/passwd"), tmp_path / "none.toml"):
        with pytest.raises(SettingsError, match="no other settings"):
            read_served(foreign)
    monkeypatch.delenv("PERENNIAL_SERVED_SETTINGS")
    assert read_served(other).home == other.parent  # of a work pool
