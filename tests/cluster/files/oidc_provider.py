"""A minimal OpenID Connect provider for tests: authorization code with PKCE, signed tokens, state in memory.

A cookie instead of a login form selects the user: `GET /select-user/NAME` sets it. As with some providers, users
without groups in their token have them only at the userinfo endpoint.

Environment:
    ISSUER: its URL.
    CLIENT: id and secret of the client, as `id:secret`.
    USERS: name → {"groups": […], "in_token": bool}, as JSON.
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

ISSUER, CLIENT, USERS = os.environ["ISSUER"], os.environ["CLIENT"], json.loads(os.environ["USERS"])
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


@app.get("/select-user/<name>")
def select_user(name: str) -> Any:
    response = jsonify(name=name)
    response.set_cookie("user", name)
    return response


@app.get("/authorize")
def authorize() -> Any:
    query = request.args
    if query["client_id"] != CLIENT.partition(":")[0] or query["code_challenge_method"] != "S256":
        abort(400)
    code = secrets.token_urlsafe()
    codes[code] = {**query, "user": request.cookies["user"]}
    return redirect(f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}")


@app.post("/token")
def token() -> Any:
    login = codes.pop(request.form["code"], None) or abort(400)
    client = request.authorization
    verifier = hashlib.sha256(request.form["code_verifier"].encode()).digest()
    if base64.urlsafe_b64encode(verifier).decode().rstrip("=") != login["code_challenge"]:
        abort(400)
    if not client or f"{client.username}:{client.password}" != CLIENT:
        abort(401)
    name, now = login["user"], int(time.time())
    groups = {"groups": USERS[name]["groups"]} if USERS[name]["in_token"] else {}
    claims = {"iss": ISSUER, "aud": login["client_id"], "iat": now, "exp": now + 300, "nonce": login["nonce"]}
    id_token = jwt.encode({**claims, **user_claims(name), **groups}, KEY, algorithm="RS256", headers={"kid": "one"})
    access_token = secrets.token_urlsafe()
    tokens[access_token] = name
    return jsonify(access_token=access_token, token_type="Bearer", expires_in=300, id_token=id_token)


@app.get("/userinfo")
def userinfo() -> Any:
    name = tokens.get((request.headers.get("Authorization") or "").removeprefix("Bearer ")) or abort(401)
    return jsonify(**user_claims(name), groups=USERS[name]["groups"])


def user_claims(name: str) -> dict[str, Any]:
    return {"sub": f"id-of-{name}", "preferred_username": name, "email": f"{name}@example.com", "given_name": name}


if __name__ == "__main__":
    app.run(host="0.0.0.0", port=8080)
