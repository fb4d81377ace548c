//! `fermyon:spin@2.0.0`, as WASI 0.2 components import it.

use futures::stream::TryStreamExt;
use wasmtime::component::Resource;

use crate::guest::{GuestState, Interfaces};
use crate::key_value::Store;
use bindings::fermyon::spin::key_value as kv;
use bindings::fermyon::spin::variables;

mod bindings {
    wasmtime::component::bindgen!({
        inline: r#"
            package host:spin;

            world imports {
                import fermyon:spin/key-value@2.0.0;
                import fermyon:spin/variables@2.0.0;
            }

            package fermyon:spin@2.0.0 {
                interface key-value {
                    resource store {
                        open: static func(label: string) -> result<store, error>;
                        get: func(key: string) -> result<option<list<u8>>, error>;
                        set: func(key: string, value: list<u8>) -> result<_, error>;
                        delete: func(key: string) -> result<_, error>;
                        exists: func(key: string) -> result<bool, error>;
                        get-keys: func() -> result<list<string>, error>;
                    }
                    variant error { store-table-full, no-such-store, access-denied, other(string) }
                }

                interface variables {
                    get: func(name: string) -> result<string, error>;
                    variant error { invalid-name(string), undefined(string), provider(string), other(string) }
                }
            }
        "#,
        imports: { default: async | trappable },
        with: { "fermyon:spin/key-value.store": crate::key_value::Store },
    });
}

pub(super) fn add_to_linker(linker: &mut wasmtime::component::Linker<GuestState>) -> wasmtime::Result<()> {
    kv::add_to_linker::<_, Interfaces>(linker, |state| state)?;
    variables::add_to_linker::<_, Interfaces>(linker, |state| state)
}

type KvResult<T> = Result<T, kv::Error>;

impl kv::Host for GuestState {}

impl kv::HostStore for GuestState {
    async fn open(&mut self, label: String) -> wasmtime::Result<KvResult<Resource<Store>>> {
        match self.shared.open_store(&label) {
            Some(store) => Ok(Ok(self.table.push(store)?)),
            None => Ok(Err(kv::Error::AccessDenied)),
        }
    }

    async fn get(&mut self, store: Resource<Store>, key: String) -> wasmtime::Result<KvResult<Option<Vec<u8>>>> {
        Ok(or_other(self.table.get(&store)?.get(key).await))
    }

    async fn set(&mut self, store: Resource<Store>, key: String, value: Vec<u8>) -> wasmtime::Result<KvResult<()>> {
        Ok(or_other(self.table.get(&store)?.set(key, value).await))
    }

    async fn delete(&mut self, store: Resource<Store>, key: String) -> wasmtime::Result<KvResult<()>> {
        Ok(or_other(self.table.get(&store)?.delete(key).await))
    }

    async fn exists(&mut self, store: Resource<Store>, key: String) -> wasmtime::Result<KvResult<bool>> {
        Ok(or_other(self.table.get(&store)?.exists(key).await))
    }

    async fn get_keys(&mut self, store: Resource<Store>) -> wasmtime::Result<KvResult<Vec<String>>> {
        Ok(or_other(all_keys(self.table.get(&store)?).await))
    }

    async fn drop(&mut self, store: Resource<Store>) -> wasmtime::Result<()> {
        self.table.delete(store)?;
        Ok(())
    }
}

/// Turns an error of the store into the interface's error `other`, with the text of the error.
fn or_other<T>(result: anyhow::Result<T>) -> KvResult<T> {
    result.map_err(|error| kv::Error::Other(format!("{error:#}")))
}

async fn all_keys(store: &Store) -> anyhow::Result<Vec<String>> {
    store.keys().try_concat().await
}

impl variables::Host for GuestState {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, variables::Error>> {
        let value = self.shared.variables.get(&name).cloned();
        Ok(value.ok_or_else(|| variables::Error::Undefined(format!("no variable {name:?}"))))
    }
}
