"""Credentials from a block of a real Prefect server: where they get to, and where not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.system import Secret

from parc_core.config.paths import PROJECT_ROOT
from parc_core.errors import ConfigError, StoreUnreachable
from parc_core.storage.redact import masked
from parc_core.storage.store import Store
from parc_tracker.object_server import ObjectServer
from tasks.credentials import load_credentials, variables_of

ALL = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
)
CHILD = "import os; print(os.environ['AWS_SECRET_ACCESS_KEY'] == os.environ['EXPECTED'])"


@pytest.fixture
def keys(object_server: ObjectServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The S3 server's variables, taken out of the environment."""
    for name in ALL:
        monkeypatch.setenv(name, "")  # noted, so that what a test puts there goes when it ends
        monkeypatch.delenv(name)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return object_server.environment()


@pytest.fixture
def block(keys: dict[str, str], prefect_server: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """A Secret block that holds them."""
    Secret(value=keys).save("parc-store", overwrite=True)
    monkeypatch.setenv("PARC_STORE_BLOCK", "secret/parc-store")
    return "secret/parc-store"


@pytest.mark.slow
def test_a_store_opened_with_a_block(block: str, keys: dict[str, str], s3_url: str) -> None:
    Store(s3_url).put_bytes(b"x", "there")
    assert Store(s3_url).read_bytes("there") == b"x"
    assert {name: os.environ[name] for name in keys} == keys
    # Child processes (the trainer among them) have them by the environment alone.
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        env={**os.environ, "EXPECTED": keys["AWS_SECRET_ACCESS_KEY"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert child.stdout == "True\n"
    assert masked(f"signed with {keys['AWS_SECRET_ACCESS_KEY']}") == "signed with ***"


def test_the_environments_own_key_counts(
    block: str, keys: dict[str, str], s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", keys["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "SomebodyElse")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something-else")
    with pytest.raises(ConfigError, match="the store refuses"):
        Store(s3_url).read_bytes("x")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "something-else"


@pytest.mark.slow
def test_a_command_says_no_value(block: str, keys: dict[str, str], s3_url: str, tmp_path: Path) -> None:
    from prefect.settings import get_current_settings

    env = {
        **os.environ,
        "PREFECT_API_URL": str(get_current_settings().api.url),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
    }
    command = [sys.executable, "-m", "parc_tracker.main", "models", "list", "--store", s3_url]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT)
    assert (done.returncode, f"Models in {s3_url}" in done.stdout) == (0, True), done.stderr
    env["PARC_STORE_BLOCK"] = "secret/none"
    none = subprocess.run(command, env=env, capture_output=True, text=True, check=False, cwd=PROJECT_ROOT)
    assert none.returncode == 78
    assert "there is no block 'secret/none' on http://127.0.0.1" in none.stderr
    for text in (done.stdout, done.stderr, none.stdout, none.stderr):
        assert keys["AWS_SECRET_ACCESS_KEY"] not in text
        assert keys["AWS_ACCESS_KEY_ID"] not in text


def test_blocks_that_are_none(
    prefect_server: None, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Secret(value="hunter2-is-no-json").save("text", overwrite=True)
    Secret(value={"aws_access_key_id": "hunter2-half"}).save("half", overwrite=True)
    for name, said in (
        ("text", "block 'text' holds no JSON object"),
        ("secret/half", "has nothing for AWS_SECRET_ACCESS_KEY"),
        ("json/parc-store", "show their values to everybody"),
        ("secret/", "is not a block"),
        ("/x", "is not a block"),
        ("a/b/c", "is not a block"),
    ):
        monkeypatch.setenv("PARC_STORE_BLOCK", name)
        with pytest.raises(ConfigError, match=said) as caught:
            load_credentials()
        assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)
    assert not any(name in os.environ for name in ALL)


def test_a_server_that_is_away(keys: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    monkeypatch.setenv("PARC_STORE_BLOCK", "parc-store")
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(StoreUnreachable, match="did not give the block 'secret/parc-store'") as caught,
    ):
        Store("s3://bucket/x")
    assert caught.value.exit_code == 69


KEY = {"AWS_ACCESS_KEY_ID": "one", "AWS_SECRET_ACCESS_KEY": "two"}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"value": dict(KEY)}, KEY),
        ({"value": json.dumps({"key": "one", "secret": "two"})}, KEY),
        # prefect-aws: AwsCredentials and MinIOCredentials
        (
            {
                "aws_access_key_id": "one",
                "aws_secret_access_key": "two",
                "aws_session_token": None,
                "region_name": "eu",
                "aws_client_parameters": {"endpoint_url": "https://s3.lab", "verify": True},
            },
            {**KEY, "AWS_DEFAULT_REGION": "eu", "AWS_ENDPOINT_URL": "https://s3.lab"},
        ),
        ({"minio_root_user": "one", "minio_root_password": "two"}, KEY),
    ],
)
def test_what_blocks_hold(data: dict[str, Any], found: dict[str, str]) -> None:
    assert variables_of(data, "name") == found


@pytest.mark.parametrize("value", [7, ["two"], "two\nAWS_X=1", "two\x00"])
def test_values_that_are_no_line_of_text(value: Any) -> None:
    with pytest.raises(ConfigError, match="the value for AWS_SECRET_ACCESS_KEY is not a line of text"):
        variables_of({"value": {**KEY, "AWS_SECRET_ACCESS_KEY": value}}, "name")


def test_prefect_is_not_imported_without_a_block() -> None:
    code = "import sys, parc_core.storage.s3; assert 'prefect' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PROJECT_ROOT)
