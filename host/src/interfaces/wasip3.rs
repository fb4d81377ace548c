//! `spin:key-value@3.0.0` and `spin:variables@3.0.0`, as WASI 0.3 components import them.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::TryStreamExt;
use tokio::sync::mpsc;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, Resource, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::error::Error;

use crate::guest::{GuestState, Interfaces};
use crate::key_value::Store;
use bindings::spin::key_value::key_value as kv;
use bindings::spin::variables::variables;

mod bindings {
    wasmtime::component::bindgen!({
        inline: r#"
            package host:spin;

            world imports {
                import spin:key-value/key-value@3.0.0;
                import spin:variables/variables@3.0.0;
            }

            package spin:key-value@3.0.0 {
                interface key-value {
                    resource store {
                        open: static async func(label: string) -> result<store, error>;
                        get: async func(key: string) -> result<option<list<u8>>, error>;
                        set: async func(key: string, value: list<u8>) -> result<_, error>;
                        delete: async func(key: string) -> result<_, error>;
                        exists: async func(key: string) -> result<bool, error>;
                        get-keys: async func() -> tuple<stream<string>, future<result<_, error>>>;
                    }
                    variant error { store-table-full, no-such-store, access-denied, other(string) }
                }
            }

            package spin:variables@3.0.0 {
                interface variables {
                    get: async func(name: string) -> result<string, error>;
                    variant error { invalid-name(string), undefined(string), provider(string), other(string) }
                }
            }
        "#,
        imports: { default: async | trappable },
        with: { "spin:key-value/key-value.store": crate::key_value::Store },
    });
}

pub(super) fn add_to_linker(linker: &mut wasmtime::component::Linker<GuestState>) -> wasmtime::Result<()> {
    kv::add_to_linker::<_, Interfaces>(linker, |state| state)?;
    variables::add_to_linker::<_, Interfaces>(linker, |state| state)
}

type Guest = Accessor<GuestState, Interfaces>;
/// How many listed keys may wait for the guest.
const LISTED_KEYS_AHEAD: usize = 256;

type KvResult<T> = Result<T, kv::Error>;

impl kv::Host for GuestState {}

impl kv::HostStore for GuestState {
    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

impl kv::HostStoreWithStore<GuestState> for Interfaces {
    async fn open(guest: &Guest, label: String) -> wasmtime::Result<KvResult<Resource<Store>>> {
        guest.with(|mut access| {
            let state = access.get();
            match state.shared.open_store(&label) {
                Some(store) => Ok(Ok(state.table.push(store)?)),
                None => Ok(Err(kv::Error::AccessDenied)),
            }
        })
    }

    async fn get(guest: &Guest, store: Resource<Store>, key: String) -> wasmtime::Result<KvResult<Option<Vec<u8>>>> {
        Ok(or_other(opened(guest, &store)?.get(key).await))
    }

    async fn set(guest: &Guest, store: Resource<Store>, key: String, value: Vec<u8>) -> wasmtime::Result<KvResult<()>> {
        Ok(or_other(opened(guest, &store)?.set(key, value).await))
    }

    async fn delete(guest: &Guest, store: Resource<Store>, key: String) -> wasmtime::Result<KvResult<()>> {
        Ok(or_other(opened(guest, &store)?.delete(key).await))
    }

    async fn exists(guest: &Guest, store: Resource<Store>, key: String) -> wasmtime::Result<KvResult<bool>> {
        Ok(or_other(opened(guest, &store)?.exists(key).await))
    }

    async fn get_keys(
        guest: &Guest,
        store: Resource<Store>,
    ) -> wasmtime::Result<(StreamReader<String>, FutureReader<KvResult<()>>)> {
        let (listed, keys) = mpsc::channel(LISTED_KEYS_AHEAD);
        let listing = tokio::spawn(list_keys(opened(guest, &store)?, listed));
        let ended = async move { Ok::<_, Error>(or_other(listing.await?)) };
        guest.with(|mut access| {
            Ok((StreamReader::new(&mut access, KeyProducer(keys))?, FutureReader::new(&mut access, ended)?))
        })
    }
}

fn opened(guest: &Guest, store: &Resource<Store>) -> wasmtime::Result<Store> {
    guest.with(|mut access| Ok(access.get().table.get(store)?.clone()))
}

impl variables::Host for GuestState {}

impl variables::HostWithStore<GuestState> for Interfaces {
    async fn get(guest: &Guest, name: String) -> wasmtime::Result<Result<String, variables::Error>> {
        Ok(guest.with(|mut access| {
            let value = access.get().shared.variables.get(&name).cloned();
            value.ok_or_else(|| variables::Error::Undefined(format!("no variable {name:?}")))
        }))
    }
}

/// Turns an error of the store into the interface's error `other`, with the text of the error.
fn or_other<T>(result: anyhow::Result<T>) -> KvResult<T> {
    result.map_err(|error| kv::Error::Other(format!("{error:#}")))
}

/// Lists all keys of the store, page by page, until the guest stops reading.
async fn list_keys(store: Store, listed: mpsc::Sender<String>) -> anyhow::Result<()> {
    let mut pages = store.keys();
    while let Some(page) = pages.try_next().await? {
        for key in page {
            if listed.send(key).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Hands the listed keys to the guest as they come.
struct KeyProducer(mpsc::Receiver<String>);

impl StreamProducer<GuestState> for KeyProducer {
    type Item = String;
    type Buffer = VecBuffer<String>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, GuestState>,
        mut destination: Destination<'a, String, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wanted = destination.remaining(&mut store).unwrap_or(LISTED_KEYS_AHEAD);
        if wanted == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut keys = Vec::new();
        match self.0.poll_recv_many(context, &mut keys, wanted) {
            Poll::Ready(0) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(_) => {
                destination.set_buffer(keys.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
