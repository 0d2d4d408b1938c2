"""A minimal OpenID Connect provider for tests: authorization code with PKCE, signed tokens, state in memory.

A cookie instead of a login form selects the user: `GET /become/NAME` sets it. Users without groups in their token have
them only at the userinfo endpoint, as with some providers.

Environment:
    ISSUER: its URL.
    CLIENT: id and secret of the client, as `id:secret`.
    PEOPLE: name → {"groups": […], "in_token": bool}, as JSON.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import time
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, abort, jsonify, redirect, request

ISSUER, CLIENT, PEOPLE = os.environ["ISSUER"], os.environ["CLIENT"], json.loads(os.environ["PEOPLE"])
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

app = Flask(__name__)
codes: dict[str, dict[str, str]] = {}
tokens: dict[str, str] = {}


@app.get("/.well-known/openid-configuration")
def metadata() -> Any:
    return jsonify(
        issuer=ISSUER,
        authorization_endpoint=f"{ISSUER}/authorize",
        token_endpoint=f"{ISSUER}/token",
        userinfo_endpoint=f"{ISSUER}/userinfo",
        jwks_uri=f"{ISSUER}/keys",
        response_types_supported=["code"],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=["RS256"],
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        code_challenge_methods_supported=["S256"],
    )


@app.get("/keys")
def keys() -> Any:
    key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
    return jsonify(keys=[{**key, "kid": "one", "use": "sig", "alg": "RS256"}])


@app.get("/become/<name>")
def become(name: str) -> Any:
    answer = jsonify(name=name)
    answer.set_cookie("who", name)
    return answer


@app.get("/authorize")
def authorize() -> Any:
    asked = request.args
    if asked["client_id"] != CLIENT.partition(":")[0] or asked["code_challenge_method"] != "S256":
        abort(400)
    code = secrets.token_urlsafe()
    codes[code] = {**asked, "who": request.cookies["who"]}
    return redirect(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")


@app.post("/token")
def token() -> Any:
    asked = codes.pop(request.form["code"], None) or abort(400)
    sign_in = request.authorization
    verifier = hashlib.sha256(request.form["code_verifier"].encode()).digest()
    if base64.urlsafe_b64encode(verifier).decode().rstrip("=") != asked["code_challenge"]:
        abort(400)
    if not sign_in or f"{sign_in.username}:{sign_in.password}" != CLIENT:
        abort(401)
    name, now = asked["who"], int(time.time())
    groups = {"groups": PEOPLE[name]["groups"]} if PEOPLE[name]["in_token"] else {}
    claims = {"iss": ISSUER, "aud": asked["client_id"], "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
    signed = jwt.encode({**claims, **about(name), **groups}, KEY, algorithm="RS256", headers={"kid": "one"})
    opened = secrets.token_urlsafe()
    tokens[opened] = name
    return jsonify(access_token=opened, token_type="Bearer", expires_in=300, id_token=signed)


@app.get("/userinfo")
def userinfo() -> Any:
    name = tokens.get((request.headers.get("Authorization") or "").removeprefix("Bearer ")) or abort(401)
    return jsonify(**about(name), groups=PEOPLE[name]["groups"])


def about(name: str) -> dict[str, Any]:
    return {"sub": f"id-of-{name}", "preferred_username": name, "email": f"{name}@example.com", "given_name": name}


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8080)
