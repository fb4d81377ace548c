//! The ready-made component.

// The SDK's macro generates unsafe code to export the function.
#![allow(unsafe_code)]

use spin_sdk::http::{IncomingRequest, ResponseOutparam};

use crate::view::DefaultView;

#[spin_sdk::http_component]
async fn handle(request: IncomingRequest, response: ResponseOutparam) {
    super::serve(DefaultView, request, response).await;
}
