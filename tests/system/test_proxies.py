"""Proxies in the environment: loopback is exempt in every spelling, and what Prefect's client cannot use is dropped."""

from __future__ import annotations

import os
import urllib.request

import pytest

from parc_core.system.proxies import drop_unusable, is_loopback, loopback_goes_direct

NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def proxies(monkeypatch):
    """Sets exactly these variables."""

    def only(**variables: str) -> None:
        for name in [*NAMES, *(name.upper() for name in NAMES)]:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    only()
    return only


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"])
@pytest.mark.parametrize(
    "there", [{}, {"NO_PROXY": "lab.example"}, {"no_proxy": "a.b,, ::1 ", "NO_PROXY": "c"}]
)
def test_loopback_is_asked_directly_and_the_users_exceptions_stay(proxies, name, there):
    proxies(**{name: "http://127.0.0.1:9"}, **there)
    before = {entry for entry in os.environ.get("no_proxy", there.get("NO_PROXY", "")).split(",") if entry}
    loopback_goes_direct()
    loopback_goes_direct()
    entries = os.environ["no_proxy"].split(",")
    assert len(entries) == len(set(entries))
    assert {*map(str.strip, before), "localhost", "127.0.0.1", "::1"} == set(entries)
    assert urllib.request.proxy_bypass("127.0.0.1:8333")
    assert not urllib.request.proxy_bypass("prefect.example:4200")


def test_httpx_and_botocore_follow(proxies):
    httpx_utils, botocore_utils = pytest.importorskip("httpx._utils"), pytest.importorskip("botocore.utils")
    proxies(HTTP_PROXY="http://127.0.0.1:9", ALL_PROXY="http://127.0.0.1:9")
    assert botocore_utils.get_environ_proxies("http://127.0.0.1:8333")
    loopback_goes_direct()
    assert httpx_utils.get_environment_proxies()["all://127.0.0.1"] is None
    assert botocore_utils.get_environ_proxies("http://127.0.0.1:8333") == {}
    assert botocore_utils.get_environ_proxies("http://s3.example")


def test_nothing_is_set_without_a_proxy(proxies):
    loopback_goes_direct()
    assert not any(name in os.environ for name in ("no_proxy", "NO_PROXY"))


def test_what_httpx_cannot_use_is_dropped_and_named(proxies, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    proxies(ALL_PROXY="socks5h://p:1", http_proxy="p:3128", HTTPS_PROXY="http://p:1", all_proxy="gopher://p")
    assert sorted(drop_unusable()) == ["ALL_PROXY", "all_proxy"]
    assert drop_unusable() == []
    assert (os.environ["http_proxy"], os.environ["HTTPS_PROXY"]) == ("p:3128", "http://p:1")


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:4200/api", True),
        ("http://localhost/api", True),
        ("http://[::1]:4200", True),
        ("http://10.0.0.1", False),
        ("https://api.example", False),
        ("nonsense", False),
    ],
)
def test_is_loopback(url, here):
    assert is_loopback(url) is here
