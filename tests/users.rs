//! Users: tokens, a trusted proxy, and what users see of each other.

mod support;

use http::Method;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use support::{Client, Form, Reply, Server, data, server};

const SECRET: &str = "a secret of the tests";
const FAR: u64 = 4_000_000_000;

fn token(claims: &Value) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn bearer(user: &str) -> String {
    format!("Bearer {}", token(&json!({"sub": user, "exp": FAR})))
}

fn begin(client: &Client, authorization: &str) -> Reply {
    let form = Form::new().field("filename", "f.bin").file("file", "blob", b"abc");
    let headers = [("Authorization", authorization), ("Content-Range", "bytes 0-2/3")];
    client.send_form(Method::PUT, "/uploads/", &headers, form)
}

fn complete(client: &Client, url: &str, authorization: &str) -> Reply {
    let form = Form::new().field("md5", &data::md5(b"abc"));
    client.send_form(Method::POST, url, &[("Authorization", authorization)], form)
}

#[test]
fn users_do_not_see_each_others_uploads() {
    let server = Server::with(&[("auth", "jwt"), ("auth_jwt_secret", SECRET)]);
    let client = server.client();
    let (ann, ben) = (bearer("ann"), bearer("ben"));
    let begun = begin(&client, &ann).expect(200);
    assert_eq!(begun.json()["user"], "ann");
    let url = begun.text("url");

    let not_found = json!({"detail": "No ChunkedUpload matches the given query."});
    for headers in [vec![], vec![("Authorization", ben.as_str())]] {
        client.get_with(&url, &headers).expect_json(404, not_found.clone());
        client.send(Method::DELETE, &url, &headers, b"").expect_json(404, not_found.clone());
        client.get_with("/uploads/", &headers).expect_json(200, json!([]));
    }
    complete(&client, &url, &ben).expect_json(404, not_found);
    let done = complete(&client, &url, &ann).expect(200);
    client.get_with(&done.text("file"), &[("Authorization", &ben)]).expect(404);
    client.get(&done.text("file")).expect(404);
    assert_eq!(client.get_with(&done.text("file"), &[("Authorization", &ann)]).expect(200).body, b"abc");
    client.get_with("/uploads/", &[("Authorization", &ann)]).expect_json(200, json!([done.json()]));

    let needed = json!({"detail": "Upload requires user authentication but user cannot be determined"});
    client.put_chunk("/uploads/", b"abc", 0, 3).expect_json(400, needed);
}

#[test]
fn unrestricted_users_see_everything_but_strangers_nothing() {
    let server = Server::with(&[("auth", "jwt"), ("auth_jwt_secret", SECRET), ("user_restricted", "false")]);
    let client = server.client();
    let url = begin(&client, &bearer("ann")).expect(200).text("url");
    client.get(&url).expect(404);
    client.get("/uploads/").expect_json(200, json!([]));
    let ben = bearer("ben");
    let done = complete(&client, &url, &ben).expect(200);
    assert_eq!(done.json()["user"], "ann");
    client.get_with("/uploads/", &[("Authorization", &ben)]).expect_json(200, json!([done.json()]));
}

/// Without users, a client that knows an upload's URL may delete it.
#[test]
fn strangers_get_no_list_of_everybodys_uploads() {
    let server = Server::with(&[("user_restricted", "false")]);
    assert_eq!(server.client().get("/uploads/").expect(500).code(), "invalid_setting");
    server.client().put_chunk("/uploads/", b"abc", 0, 3).expect(500);
    assert!(server.log().contains("true, or false where auth is jwt or header"), "{}", server.log());
}

#[test]
fn a_token_that_does_not_count_is_a_401() {
    let rules = [
        ("auth", "jwt"),
        ("auth_jwt_secret", SECRET),
        ("auth_jwt_audience", "uploads"),
        ("auth_jwt_issuer", "login.example"),
    ];
    let server = Server::with(&rules);
    let client = server.client();
    let claims = json!({"sub": "ann", "exp": FAR, "aud": "uploads", "iss": "login.example"});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        format!("Bearer {}", token(&claims))
    };
    client.get_with("/uploads/", &[("Authorization", &with("sub", json!("ann")))]).expect(200);

    let good = token(&claims);
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", good.split('.').nth(1).unwrap());
    let other_key = encode(&Header::default(), &claims, &EncodingKey::from_secret(b"another")).unwrap();
    let other_algorithm =
        encode(&Header::new(Algorithm::HS512), &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    let mut no_user = claims.clone();
    no_user.as_object_mut().unwrap().remove("sub");
    let critical = Header { crit: Some(vec!["x".to_owned()]), ..Header::default() };
    let critical = encode(&critical, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
    let bad = [
        with("exp", json!(1_000_000_000)),
        with("nbf", json!(FAR - 1)),
        with("aud", json!("others")),
        with("iss", json!("others")),
        with("sub", json!("")),
        with("sub", json!("a".repeat(256))),
        format!("Bearer {unsigned}"),
        format!("Bearer {other_key}"),
        format!("Bearer {other_algorithm}"),
        format!("Bearer {}", token(&no_user)),
        // RFC 7515, 4.1.11: no extension is understood here.
        format!("Bearer {critical}"),
        format!("Bearer {good}x"),
        "Bearer x".to_owned(),
        "Bearer".to_owned(),
        "Basic YTpi".to_owned(),
    ];
    for authorization in bad {
        let reply = client.get_with("/uploads/", &[("Authorization", &authorization)]).expect(401);
        assert_eq!(reply.header("www-authenticate"), "Bearer error=\"invalid_token\"", "{authorization}");
        begin(&client, &authorization).expect(401);
    }
    let request = format!(
        "GET /uploads/ HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAuthorization: Bearer {good}\r\n\
         Authorization: Bearer {good}\r\n\r\n",
        server.address()
    );
    let answer = client.exchange_raw(request.as_bytes());
    assert!(answer.starts_with("HTTP/1.1 401 "), "which of the two counts? {answer}");
    assert_eq!(server.stored(), []);
}

/// Django REST framework's own tokens come under `Token`, and those of its JWT packages under `JWT`.
#[test]
fn a_token_may_come_under_the_schemes_of_the_peers_clients() {
    let server = Server::with(&[("auth", "jwt"), ("auth_jwt_secret", SECRET)]);
    let client = server.client();
    for scheme in ["Bearer", "Token", "JWT", "bearer", "token", "jwt"] {
        let authorization = bearer("ann").replace("Bearer", scheme);
        assert_eq!(begin(&client, &authorization).expect(200).json()["user"], "ann");
    }
}

// Key pairs that were made for these tests only.
const KEYS: [(Algorithm, &str, &str); 4] = [
    (Algorithm::RS256, include_str!("keys/rsa.pem"), include_str!("keys/rsa.pub.pem")),
    (Algorithm::ES256, include_str!("keys/ec.pem"), include_str!("keys/ec.pub.pem")),
    (Algorithm::ES384, include_str!("keys/ec384.pem"), include_str!("keys/ec384.pub.pem")),
    (Algorithm::EdDSA, include_str!("keys/ed.pem"), include_str!("keys/ed.pub.pem")),
];

#[test]
fn public_keys_verify_tokens_and_are_no_secrets() {
    for (algorithm, private, public) in KEYS {
        let server = Server::with(&[("auth", "jwt"), ("auth_jwt_public_key", public.trim())]);
        let client = server.client();
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(private.as_bytes()),
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(private.as_bytes()),
            _ => EncodingKey::from_ed_pem(private.as_bytes()),
        };
        let claims = json!({"sub": "ann", "exp": FAR});
        let good = encode(&Header::new(algorithm), &claims, &key.unwrap()).unwrap();
        let reply = begin(&client, &format!("Bearer {good}")).expect(200);
        assert_eq!(reply.json()["user"], "ann");

        // An attacker may use the public key as if it were a shared secret.
        for secret in [public, public.trim()] {
            let forged = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
            begin(&client, &format!("Bearer {forged}")).expect(401);
        }
    }
}

/// Each looks like a key of a kind that is taken.
const UNUSABLE_KEYS: [(&str, &str); 6] = [
    ("P-521", include_str!("keys/unusable/p521.pem")),
    ("secp256k1", include_str!("keys/unusable/secp256k1.pem")),
    ("Ed448", include_str!("keys/unusable/ed448.pem")),
    ("half of an Ed25519 key", include_str!("keys/unusable/ed25519-short.pem")),
    ("a private RSA key", include_str!("keys/rsa.pem")),
    ("a private P-256 key", include_str!("keys/ec.pem")),
];

#[test]
fn a_key_that_no_token_could_be_verified_by_is_refused_at_once() {
    for (kind, pem) in UNUSABLE_KEYS {
        let server = Server::with(&[("auth", "jwt"), ("auth_jwt_public_key", pem.trim())]);
        // Nobody has to send a token to learn it.
        assert_eq!(server.client().get("/uploads/").expect(500).code(), "invalid_setting", "{kind}");
        let log = server.log();
        assert!(log.contains("auth_jwt_public_key") && log.contains("P-384 (ES384)"), "{kind}: {log}");
    }
}

#[test]
fn a_trusted_proxy_names_the_user() {
    let server = Server::with(&[("auth", "header"), ("auth_header", "x-user"), ("auth_header_secret", SECRET)]);
    let client = server.client();
    let put = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers.iter().copied().chain([("Content-Range", "bytes 0-2/3")]).collect();
        client.send_form(Method::PUT, "/uploads/", &headers, Form::new().file("file", "f", b"abc"))
    };
    let begun = put(&[("x-user", "ann"), ("x-auth-secret", SECRET)]).expect(200);
    assert_eq!(begun.json()["user"], "ann");
    for headers in [&[("x-user", "ann")][..], &[("x-user", "ann"), ("x-auth-secret", "guessed")]] {
        assert_eq!(put(headers).expect(401).header("www-authenticate"), "Proxy");
    }
    let long = "a".repeat(256);
    for headers in [&[("x-user", "ann"), ("x-user", "ben")][..], &[("x-user", "")], &[("x-user", &long)]] {
        let reply = put(&[headers, &[("x-auth-secret", SECRET)]].concat()).expect(401);
        assert_eq!((reply.header("www-authenticate"), reply.code().as_str()), ("Proxy", "invalid_user"));
    }
    put(&[("x-auth-secret", SECRET)]).expect(400);
}

/// Proxies pass on the names of their logins as they are.
#[test]
fn a_users_name_is_text_in_utf_8() {
    let server = Server::with(&[("auth", "header"), ("auth_header_secret", SECRET)]);
    let client = server.client();
    let send = |name: &[u8]| {
        let head = format!(
            "PUT /uploads/?filename=f HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: 3\r\n\
             Content-Range: bytes 0-2/3\r\nX-Auth-Secret: {SECRET}\r\nX-Remote-User: ",
            server.address()
        );
        client.exchange_raw(&[head.as_bytes(), name, b"\r\n\r\nabc"].concat())
    };
    for name in ["m\u{fc}ller", "\u{5f20}\u{4f1f}"] {
        let answer = send(name.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains(&format!("\"user\":\"{name}\"")), "{answer}");
    }
    // Latin-1: it could be guessed, and two users would be one.
    let answer = send(b"m\xfcller");
    if !server::on_spin() {
        assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("www-authenticate: Proxy"), "{answer}");
    }
    assert!(!answer.contains(" 200 "), "{answer}");
}

#[test]
fn a_mode_without_its_secret_answers_nobody() {
    for (mode, variable) in [("header", "auth_header_secret"), ("jwt", "auth_jwt_secret")] {
        let server = Server::with(&[("auth", mode)]);
        server.client().get("/uploads/").expect(500);
        assert!(server.log().contains(variable), "{}", server.log());
    }
    // The user's name would be the secret, which responses and logs would tell.
    let settings = [("auth", "header"), ("auth_header_secret", SECRET), ("auth_header", "X-Auth-Secret")];
    let server = Server::with(&settings);
    server.client().get("/uploads/").expect(500);
    assert!(server.log().contains("other than x-auth-secret"), "{}", server.log());
    let server = Server::with(&[("auth", "yes")]);
    server.client().get("/").expect(500);
    assert!(server.log().contains("none, jwt or header"), "{}", server.log());
}
