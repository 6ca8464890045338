"""A provider of OpenID Connect on the loopback: one client, one person, who is signed in at once."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

__all__ = ["CLIENT", "PERSON", "SECRET", "Provider", "provider"]

CLIENT, SECRET, PERSON = "wafergate-dashboard", "hush-5b1d", "kim@plant.example"


class Provider(ThreadingHTTPServer):
    """Answers discovery, authorisation, tokens and keys."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.nonces: dict[str, str] = {}

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def metadata_url(self) -> str:
        return f"{self.issuer}/.well-known/openid-configuration"


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        place, issuer = urlsplit(self.path), self.server.issuer
        asked = {key: values[0] for key, values in parse_qs(place.query).items()}
        if place.path == "/authorize":
            assert asked["client_id"] == CLIENT
            self.server.nonces["code-1"] = asked.get("nonce", "")
            self.send_response(302)
            answer = urlencode({"code": "code-1", "state": asked["state"]})
            self.send_header("location", f"{asked['redirect_uri']}?{answer}")
            self.end_headers()
        elif place.path == "/keys":
            self._tell({"keys": [self.server.key.as_dict(private=False)]})
        else:
            self._tell(
                {
                    "issuer": issuer,
                    "authorization_endpoint": f"{issuer}/authorize",
                    "token_endpoint": f"{issuer}/token",
                    "jwks_uri": f"{issuer}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256"],
                }
            )

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        now = int(time.time())
        claims = {"iss": self.server.issuer, "aud": CLIENT, "sub": "kim", "email": PERSON, "iat": now, "exp": now + 600}
        claims["nonce"] = self.server.nonces["code-1"]
        token = jwt.encode({"alg": "RS256", "kid": "k1"}, claims, self.server.key)
        self._tell({"access_token": "a", "token_type": "Bearer", "expires_in": 600, "id_token": token})

    def _tell(self, content: object) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def provider() -> Iterator[Provider]:
    """Run the provider."""
    made = Provider()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        made.shutdown()
        thread.join()
        made.server_close()
