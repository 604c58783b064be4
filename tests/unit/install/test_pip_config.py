"""uv looks for packages where pip is configured to look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.install.pip_config import parse_pip_config

LISTING = """:env:.find-links='/from/env'
global.cert='/etc/ssl/ca.pem'
global.extra-index-url='file:///a/simple https://user:secret@b/simple'
global.find-links='/opt/wheels /more'
global.index-url='https://mirror/simple'
install.trusted-host='mirror'
freeze.timeout='10'
"""


def test_the_environment_wins_over_the_file() -> None:
    assert parse_pip_config(LISTING).uv_arguments()[:2] == ["--find-links", "/from/env"]


def test_several_places_are_reported_one_by_one() -> None:
    arguments = parse_pip_config("global.find-links='/opt/wheels\\n/more'").uv_arguments()
    assert arguments[:4] == ["--find-links", "/opt/wheels", "--find-links", "/more"]


def test_indexes_go_through_the_environment_where_ps_does_not_show_their_passwords() -> None:
    config = parse_pip_config(LISTING)
    assert "secret" not in " ".join(config.uv_arguments())
    assert config.uv_environment() == {
        "UV_DEFAULT_INDEX": "https://mirror/simple",
        "UV_EXTRA_INDEX_URL": "file:///a/simple https://user:secret@b/simple",
        "SSL_CERT_FILE": "/etc/ssl/ca.pem",
    }


def test_folders_of_wheels_behind_a_password_go_through_the_environment_too() -> None:
    config = parse_pip_config("global.find-links='https://user:secret@b/wheels,1 /opt/wheels'")
    assert "--find-links" not in config.uv_arguments()
    assert config.uv_environment() == {"UV_FIND_LINKS": "https://user:secret@b/wheels%2C1,/opt/wheels"}


def test_trusted_hosts_and_no_index_are_handed_on() -> None:
    assert "--allow-insecure-host mirror" in " ".join(parse_pip_config(LISTING).uv_arguments())
    assert "--no-index" in parse_pip_config("global.no-index='true'").uv_arguments()
    assert "--no-index" not in parse_pip_config("global.no-index='false'").uv_arguments()


def test_nothing_configured_leaves_uv_alone() -> None:
    assert parse_pip_config("").uv_environment() == {}


@given(st.text())
def test_whatever_pip_says_is_read_without_failing(listing: str) -> None:
    parse_pip_config(listing)
    parse_pip_config(f"global.find-links={listing}")
