//! The service's description for machines, at `/openapi.json`.
//!
//! `document.json` is an OpenAPI 3.1 description of the service with its default settings. This module changes it to
//! fit the service's own settings.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Context, manage};
use crate::http::{ResponseBody, response, urls};
use crate::identity::{Auth, PROXY_SECRET_HEADER};
use crate::settings::{ContentRangeEnd, Settings};
use crate::store::Store;
use crate::view::{ChecksumCheck, View};

/// The path of the description.
pub(super) const PATH: &str = "openapi.json";

const DOCUMENT: &str = include_str!("document.json");
/// The description of `Content-Range` if the end is not that of RFC 9110.
const RANGE_WITH_EXCLUSIVE_END: &str = "The chunk's place in the file: the end is the offset after the last byte, `*` \
    stands for a total that isn't known yet, and `bytes */0` for the one chunk of an empty file.";
/// The placeholder in the document for the path of files.
const FILES: &str = "/{path}";

/// Responds with the description.
pub(super) fn respond<S: Store, V: View>(context: &Context<S, V>) -> Response<ResponseBody> {
    // The document is a constant, and a test below parses it.
    let mut document: Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
    let settings = &context.settings;
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document["servers"] = json!([{"url": context.urls.base()}]);
    fit_form(&mut document, context);
    fit_range(&mut document, settings.content_range_end);
    fit_files(&mut document, settings);
    fit_security(&mut document, &settings.auth);
    if settings.manage_token.is_none() {
        remove(&mut document["paths"], &format!("/{}", manage::DELETE_EXPIRED));
        remove(&mut document["components"]["securitySchemes"], "manageToken");
    }
    if settings.on_completion.is_none() {
        for path in [format!("/{}/", urls::UPLOADS), format!("/{}/{{id}}", urls::UPLOADS)] {
            remove(&mut document["paths"][path]["post"]["responses"], "502");
        }
    }
    response::json(StatusCode::OK, &document)
}

/// Names the file part and the checksum's field as in the view and the settings.
fn fit_form<S: Store, V: View>(document: &mut Value, context: &Context<S, V>) {
    let file = context.view.field_name(context.for_view());
    let checksum = context.settings.checksum.name();
    let required = context.view.checksum_check(context.for_view()) == ChecksumCheck::Required;
    let paths = &mut document["paths"];
    let forms = [("/uploads/", "put"), ("/uploads/", "post"), ("/uploads/{id}", "put")];
    for (path, method) in forms {
        fit_schema(&mut paths[path][method]["requestBody"]["content"]["multipart/form-data"]["schema"], |name| {
            match name {
                "file" => Some((file, true)),
                "md5" => Some((checksum, required)),
                _ => None,
            }
        });
    }
    let schemas = &mut document["components"]["schemas"];
    fit_schema(&mut schemas["Completion"], |_| Some((checksum, required)));
    fit_schema(&mut schemas["Upload"], |name| (name == "md5").then_some((checksum, false)));
}

/// Says what the end of a chunk's range is.
fn fit_range(document: &mut Value, end: ContentRangeEnd) {
    if end == ContentRangeEnd::Inclusive {
        return;
    }
    for path in ["/uploads/", "/uploads/{id}"] {
        for parameter in document["paths"][path]["put"]["parameters"].as_array_mut().into_iter().flatten() {
            if parameter["name"] == "Content-Range" {
                parameter["description"] = RANGE_WITH_EXCLUSIVE_END.into();
                parameter["example"] = "bytes 0-10000/30000".into();
            }
        }
    }
}

/// Renames the properties of an object's schema, and sets which of them are required.
fn fit_schema<'a>(schema: &mut Value, name_of: impl Fn(&str) -> Option<(&'a str, bool)>) {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let was_required = schema["required"].as_array().is_some_and(|all| all.contains(&name.as_str().into()));
        let (name, is_required) = name_of(name).unwrap_or((name, was_required));
        properties.insert(name.to_owned(), property.clone());
        required.extend(is_required.then(|| Value::from(name)));
    }
    schema["properties"] = properties.into();
    schema["required"] = required.into();
}

/// Sets the path of files, with a parameter for each part of the folder that depends on the time.
fn fit_files(document: &mut Value, settings: &Settings) {
    let Some(mut files) = remove(&mut document["paths"], FILES) else {
        return;
    };
    let mut path = String::new();
    for (index, part) in settings.upload_path.split('/').filter(|part| !part.is_empty()).enumerate() {
        if part.contains('%') {
            let name = format!("folder{index}");
            path += &format!("/{{{name}}}");
            let description = format!("A part of the upload's `file`: {part} of the time when it was created.");
            let parameter = json!({
                "name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"},
            });
            if let Some(parameters) = files["parameters"].as_array_mut() {
                parameters.push(parameter);
            }
        } else {
            path += &format!("/{part}");
        }
    }
    document["paths"][path + "/{name}"] = files;
}

fn fit_security(document: &mut Value, auth: &Auth) {
    let schemes = &mut document["components"]["securitySchemes"];
    match auth {
        Auth::Jwt(_) => document["security"] = json!([{"token": []}, {}]),
        Auth::Header(rules) => {
            remove(schemes, "token");
            let key = |name: &str, description: &str| json!({"type": "apiKey", "in": "header", "name": name, "description": description});
            schemes["user"] = key(rules.user_header().as_str(), "The user, set by the trusted proxy.");
            schemes["proxy"] = key(PROXY_SECRET_HEADER, "The trusted proxy's secret.");
            document["security"] = json!([{"user": [], "proxy": []}, {}]);
        }
        Auth::None => {
            remove(schemes, "token");
            remove_status(document, "401");
        }
    }
    if !auth.is_ambient() {
        remove_status(document, "403");
        remove(&mut document["components"]["responses"], "CrossSite");
    }
}

/// Removes a status that the service does not answer with. Management may.
fn remove_status(document: &mut Value, status: &str) {
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (_, path) in paths.filter(|(path, _)| path.trim_matches('/') != manage::DELETE_EXPIRED) {
        for operation in path.as_object_mut().into_iter().flatten().map(|(_, operation)| operation) {
            if let Some(responses) = operation.get_mut("responses") {
                remove(responses, status);
            }
        }
    }
}

fn remove(object: &mut Value, name: &str) -> Option<Value> {
    object.as_object_mut()?.shift_remove(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_can_be_read() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert!(document["paths"][FILES].is_object());
        assert_eq!(document["openapi"], "3.1.0");
    }
}
