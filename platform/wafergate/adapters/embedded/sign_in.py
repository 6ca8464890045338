"""Sign-in by OpenID Connect: from a few variables to the secrets file that Streamlit reads."""

import importlib.util
import json
from collections.abc import Mapping
from typing import Final

from wafergate.errors import ConfigError

__all__ = ["VARIABLES", "secrets_text", "wanted"]

VARIABLES: Final = {
    "server_metadata_url": "WAFERGATE_OIDC_URL",
    "client_id": "WAFERGATE_OIDC_CLIENT_ID",
    "client_secret": "WAFERGATE_OIDC_CLIENT_SECRET",
}
"""Streamlit's name of each value with its variable; the first is where the provider describes itself."""

REDIRECT: Final = "WAFERGATE_OIDC_REDIRECT_URL"
CALLBACK: Final = "/oauth2callback"


def wanted(environ: Mapping[str, str]) -> bool:
    """Tell whether the dashboard shows anything only to who has signed in: any of the variables is enough.

    One that is set and another that is missing must not open the pages to everybody.
    """
    return any(environ.get(name, "").strip() for name in (*VARIABLES.values(), REDIRECT))


def secrets_text(environ: Mapping[str, str], *, cookie_secret: str, address: str) -> str:
    """Return what Streamlit's `secrets.toml` must hold; nothing where no sign-in is wanted.

    Args:
        environ: the environment.
        cookie_secret: signs the cookies of those who have signed in.
        address: `host:port` of the dashboard; the provider leads back there unless a variable names another place.

    Raises:
        ConfigError: a variable is missing, the place to lead back to is not the callback, or Authlib is not installed.
    """
    if not wanted(environ):
        return ""
    values = {key: environ.get(name, "").strip() for key, name in VARIABLES.items()}
    missing = [VARIABLES[key] for key, value in values.items() if not value]
    if missing:
        message = f"sign-in to the dashboard needs {', '.join(missing)} as well: set what is missing, or none of them"
        raise ConfigError(message)
    redirect = environ.get(REDIRECT, "").strip() or f"http://{address}{CALLBACK}"
    if not redirect.endswith(CALLBACK):
        message = f"{REDIRECT} must be the dashboard's address followed by {CALLBACK}, found {redirect}"
        raise ConfigError(message)
    if importlib.util.find_spec("authlib") is None:
        message = "sign-in to the dashboard needs Authlib: install wafergate[dashboard] again"
        raise ConfigError(message)
    told = {"redirect_uri": redirect, "cookie_secret": cookie_secret, **values}
    # A JSON string is a TOML basic string as well, but for the escaped halves of signs beyond 16 bits.
    return "\n".join(
        ["[auth]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in told.items()), ""]
    )
