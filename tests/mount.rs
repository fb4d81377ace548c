//! The service under a route of an application, and behind proxies: all of it works there, by the URLs of its answers.

mod support;

use http::Method;
use support::{Client, Form, Server, data, server};

/// A chunked upload from its beginning to its end, by the URLs of the answers alone. These begin with `base`; `reach` says
/// how to get there.
fn upload_by_urls(client: &Client, base: &str, reach: impl Fn(&str) -> String) {
    let file = data::bytes(1, 3_000);
    let welcome = String::from_utf8(client.get(&reach(&format!("{base}/"))).expect(200).body).unwrap();
    assert!(welcome.contains(&format!("{base}/uploads/")), "{welcome}");
    let document = client.get(&reach(&format!("{base}/openapi.json"))).expect(200).json();
    assert_eq!(document["servers"][0]["url"], base);

    let begun = client.put_chunk(&reach(&format!("{base}/uploads/")), &file, 0, 1_000).expect(200);
    let url = begun.text("url");
    assert_eq!(url, format!("{base}/uploads/{}", begun.text("id")));
    client.put_chunk(&reach(&url), &file, 1_000, 3_000).expect(200);
    client.get(&reach(&url)).expect(200);
    let complete = client.complete(&reach(&url), &data::md5(&file)).expect(200);
    let place = complete.text("file");
    assert!(place.starts_with(&format!("{base}/chunked_uploads/")), "{place}");
    assert!(client.get(&reach(&place)).expect(200).body == file);
    assert_eq!(client.get_with(&reach(&place), &[("Range", "bytes=1-2")]).expect(206).body, file[1..3]);
    client.head(&reach(&place)).expect(200);

    let manage = reach(&format!("{base}/manage/delete_expired_uploads"));
    client.send(Method::POST, &manage, &[("Authorization", "Bearer t")], b"").expect(200);
    client.get(&reach(&format!("{base}/uploads/?limit=1"))).expect(200);
    client.delete(&reach(&url)).expect(204);
    client.get(&reach(&place)).expect(404);
}

#[test]
fn a_component_stands_under_any_route() {
    for (route, mount) in [("/files/...", "/files"), ("/a/b/...", "/a/b"), ("/uploads/...", "/uploads")] {
        let server = Server::at_route(route, &[("manage_token", "t")]);
        let client = server.client();
        upload_by_urls(&client, &format!("http://{}{mount}", server.address()), str::to_owned);
        let twice = format!("{mount}{mount}/openapi.json");
        for path in ["/", "/openapi.json", "/elsewhere/uploads/", &format!("{mount}x/uploads/"), &twice] {
            client.get(path).expect(404);
        }
        client.get(mount).expect(200);
        // A client's own word for it doesn't count.
        let forged = [("spin-component-route", "/other"), ("spin-base-path", "/other"), ("spin-path-info", "/other")];
        let path = format!("{mount}/uploads/");
        let headers = [&forged[..], &[("Content-Range", "bytes 0-2/3")]].concat();
        let begun = client.send_form(Method::PUT, &path, &headers, Form::new().file("file", "f", b"abc")).expect(200);
        assert_eq!(begun.text("url"), client.url(&format!("{path}{}", begun.text("id"))));
    }
}

#[test]
fn pages_of_a_list_stay_under_the_route() {
    let server = Server::at_route("/files/...", &server::USERS);
    let client = server.client().with_headers(&server::LOGIN);
    for _ in 0..2 {
        client.put_chunk("/files/uploads/", b"abc", 0, 3).expect(200);
    }
    let page = client.get("/files/uploads/?limit=1").expect(200);
    let next = page.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
    assert!(next.starts_with(&client.url("/files/uploads/?")), "{next}");
    assert_eq!(client.get(&next).expect(200).json().as_array().unwrap().len(), 1);
}

/// The URLs begin with `public_url`; the proxy in front of the service cuts its path off, or passes it on.
#[test]
fn a_proxy_may_pass_on_its_prefix_or_cut_it_off() {
    for prefix in ["/files", "/uploads", "/a/chunked_uploads"] {
        let base = format!("https://example.com{prefix}");
        let server = Server::with(&[("public_url", &base), ("manage_token", "t")]);
        let client = server.client();
        let passed_on = |url: &str| url.strip_prefix("https://example.com").unwrap().to_owned();
        let cut_off = |url: &str| url.strip_prefix(&base).unwrap().to_owned();
        upload_by_urls(&client, &base, cut_off);
        // What may be the list as it stands is the list.
        if prefix != "/uploads" {
            upload_by_urls(&client, &base, passed_on);
        }
    }
    let server = Server::with(&[("public_url", "https://example.com/files"), ("upload_path", "files")]);
    let client = server.client();
    let file = client.upload_whole("f", b"abc").expect(200).text("file");
    for cut in ["https://example.com", "https://example.com/files"] {
        assert_eq!(client.get(file.strip_prefix(cut).unwrap()).expect(200).body, b"abc", "without {cut}");
    }
}

#[test]
fn a_route_and_a_public_url_go_together() {
    let variables = [("public_url", "https://example.com/files"), ("manage_token", "t")];
    let server = Server::at_route("/files/...", &variables);
    let reach = |url: &str| url.strip_prefix("https://example.com").unwrap().to_owned();
    upload_by_urls(&server.client(), "https://example.com/files", reach);
}

/// RFC 3986, 6.2.2.2: an escaped unreserved character is the character. An escaped slash is no slash.
#[test]
fn escaped_characters_of_a_path_are_the_characters() {
    let escape = |path: &str| {
        let escaped = |byte: u8| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") };
        path.bytes().map(escaped).collect::<String>()
    };
    let server = Server::with(&[("public_url", "https://example.com/a%20b"), ("manage_token", "t")]);
    let client = server.client();
    let send = |method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", server.address());
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        let reply = client.exchange_raw(&[head.as_bytes(), lines.as_bytes(), length.as_bytes(), body].concat());
        reply.split(' ').nth(1).map(str::to_owned).unwrap_or_default()
    };
    let whole = client.upload_whole("f", b"abc").expect(200);
    let path = |url: &str| url.strip_prefix("https://example.com/a%20b").unwrap().to_owned();
    let (upload, file) = (path(&whole.text("url")), path(&whole.text("file")));
    for path in ["/", "/openapi.json", "/uploads/", &upload, &file] {
        assert_eq!(send(Method::GET, &escape(path), &[], b""), "200", "{path}");
        let below = format!("/%61%20b{}", escape(path));
        assert_eq!(send(Method::GET, &below, &[], b""), "200", "{path} below the prefix");
    }
    let chunk = [("Content-Range", "bytes 0-2/3")];
    assert_eq!(send(Method::PUT, "/upl%6fads/?filename=f", &chunk, b"abc"), "200");
    let (manage, token) = ("/manage/delete_expired_uploads", [("Authorization", "Bearer t")]);
    assert_eq!(send(Method::POST, &escape(manage), &token, b""), "200");
    let not_found = [
        "//manage/delete_expired_uploads",
        "/%2Fmanage/delete_expired_uploads",
        "/manage%2fdelete_expired_uploads",
        "/%25%36%64anage/delete_expired_uploads",
        "/x/%2e%2e/manage/delete_expired_uploads",
    ];
    for path in not_found {
        assert_eq!(send(Method::POST, path, &token, b""), "404", "{path}");
    }
    for path in [&upload, &file] {
        let (folder, name) = path.rsplit_once('/').unwrap();
        for path in [format!("{folder}%2F{name}"), format!("/%2e{path}"), format!("/{path}")] {
            assert_eq!(send(Method::GET, &path, &[], b""), "404", "{path}");
        }
    }
    // The log shortens an id in any form.
    let (escaped, id) = (escape(&upload), whole.text("id"));
    assert_eq!(send(Method::PATCH, &escaped, &[], b""), "405");
    let log = server.log();
    assert!(log.contains(&format!("\"route\":\"/uploads/{}\"", &id[..8])), "{log}");
    assert!(!log.contains(&escaped) && !log.contains(&id), "{log}");
}

const FORWARDED: [(&str, &str); 3] =
    [("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "example.com:8443"), ("X-Forwarded-Prefix", "/files")];

#[test]
fn a_proxy_says_what_the_client_has_called_if_it_is_trusted() {
    let server = Server::with(&[("trust_forwarded", "true"), ("manage_token", "t")]);
    let client = server.client().with_headers(&FORWARDED);
    let base = "https://example.com:8443/files";
    upload_by_urls(&client, base, |url| url.strip_prefix(base).unwrap().to_owned());
    upload_by_urls(&client, base, |url| url.strip_prefix("https://example.com:8443").unwrap().to_owned());

    let url_with = |headers: &[(&str, &str)]| {
        let headers = [headers, &[("Content-Range", "bytes 0-2/3")]].concat();
        let form = Form::new().file("file", "f", b"abc");
        server.client().send_form(Method::PUT, "/uploads/", &headers, form)
    };
    let begins = |headers: &[(&str, &str)], base: &str| {
        let url = url_with(headers).expect(200).text("url");
        assert!(url.starts_with(&format!("{base}/uploads/")), "{url}");
    };
    let own = format!("http://{}", server.address());
    begins(&[], &own);
    begins(&[("X-Forwarded-Proto", "https")], &own.replace("http:", "https:"));
    begins(&[("Forwarded", "for=192.0.2.1;proto=https;host=\"a.example:1\", for=10.0.0.1")], "https://a.example:1");
    begins(&[("Forwarded", "host=evil.example"), ("X-Forwarded-Proto", "https")], &own.replace("http:", "https:"));
    for header in [("X-Forwarded-Proto", "gopher"), ("X-Forwarded-Host", "a@b"), ("Forwarded", "host=a/b")] {
        let refused = url_with(&[header]).expect(400);
        assert_eq!(refused.code(), "invalid_target");
        assert!(refused.text("detail").contains(header.0), "{refused:?}");
    }
}

#[test]
fn nobody_else_says_what_the_client_has_called() {
    let server = Server::start();
    let client = server.client().with_headers(&FORWARDED).with_headers(&[("Forwarded", "host=evil.example")]);
    let url = client.put_chunk("/uploads/", b"abc", 0, 3).expect(200).text("url");
    assert!(url.starts_with(&format!("http://{}/uploads/", server.address())), "{url}");
}
