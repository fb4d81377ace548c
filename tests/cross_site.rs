//! Requests that pages of other sites make browsers send.

mod support;

use http::Method;
use support::{Client, Form, Reply, Server, data, server};

const EVIL: &str = "https://evil.example";

/// A form that a page posts; the proxy has added its login, since the browser sent the cookie.
fn post(client: &Client, headers: &[(&str, &str)]) -> Reply {
    let form = Form::new().field("md5", &data::md5(b"abc")).file("file", "f", b"abc");
    client.send_form(Method::POST, "/uploads/", headers, form)
}

#[test]
fn a_page_of_another_site_changes_nothing_as_the_user_who_looks_at_it() {
    let (server, client) = Server::with_user(&[]);
    let url = client.begin(b"abc", 1);
    let before = server.stored();
    let same_host = format!("http://{}", server.address());
    let foreign: [&[(&str, &str)]; 5] = [
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", EVIL)],
        &[("Sec-Fetch-Site", "same-site"), ("Origin", "https://other.example.com")],
        &[("Sec-Fetch-Site", "cross-site")],
        // A sandboxed page, and a browser without Sec-Fetch-Site.
        &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")],
        &[("Origin", EVIL)],
    ];
    for headers in foreign {
        let refused = post(&client, headers).expect(403);
        assert_eq!(refused.code(), "cross_site_request", "{headers:?}");
        client.send(Method::DELETE, &url, headers, b"").expect(403);
        client.send_form(Method::PUT, &url, headers, Form::new()).expect(403);
        client.send(Method::POST, &url, headers, b"").expect(403);
        // It can look, and not see: scripts need CORS for that.
        client.get_with(&url, headers).expect(200);
    }
    assert_eq!(server.stored(), before);

    let own: [&[(&str, &str)]; 4] = [
        // A program that is no browser; the service's own page; an address that was typed in; a browser of old.
        &[],
        &[("Sec-Fetch-Site", "same-origin"), ("Origin", "https://files.example")],
        &[("Sec-Fetch-Site", "none")],
        &[("Origin", &same_host)],
    ];
    for headers in own {
        post(&client, headers).expect(200);
    }
}

#[test]
fn pages_that_are_named_may() {
    let variables = [("cors_origins", "https://app.example"), ("public_url", "https://Files.example:443/up")];
    let (_server, client) = Server::with_user(&variables);
    for origin in ["https://app.example", "https://files.example"] {
        let reply = post(&client, &[("Sec-Fetch-Site", "cross-site"), ("Origin", origin)]).expect(200);
        assert_eq!(reply.header("access-control-allow-origin"), if origin.contains("app") { origin } else { "" });
    }
    for origin in [EVIL, "http://app.example", "https://app.example.evil", "https://files.example:444"] {
        post(&client, &[("Origin", origin)]).expect(403);
    }
    // Any page may use a service that is open to all, but not with somebody's cookie.
    let (_server, client) = Server::with_user(&[("cors_origins", "*")]);
    let refused = post(&client, &[("Sec-Fetch-Site", "cross-site"), ("Origin", EVIL)]).expect(403);
    assert_eq!(refused.header("access-control-allow-origin"), "*");
}

/// Nothing comes along by itself: a token is the page's own, and without users there is nobody to be mistaken for.
#[test]
fn where_no_login_comes_along_all_pages_are_alike() {
    let foreign = [("Sec-Fetch-Site", "cross-site"), ("Origin", EVIL)];
    post(&Server::start().client(), &foreign).expect(200);
    let server = Server::with(&[("auth", "jwt"), ("auth_jwt_secret", "s")]);
    assert_eq!(post(&server.client(), &foreign).expect(400).code(), "user_required");
    let manage = [&foreign[..], &[("Authorization", "Bearer t")]].concat();
    let server = Server::with(&[&server::USERS[..], &[("manage_token", "t")]].concat());
    server.client().send(Method::POST, "/manage/delete_expired_uploads", &manage, b"").expect(200);
}
