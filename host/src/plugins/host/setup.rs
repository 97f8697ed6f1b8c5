//! Interface `setup`, in force during `configure`.

use super::super::bindings::trackside::plugin::setup as contract;
use super::super::guest::Guest;

impl contract::Host for Guest {
    fn routes(&mut self) -> wasmtime::Result<Vec<String>> {
        self.in_configure("routes")?;
        Ok(self.settings.routes.clone())
    }

    fn read_file(&mut self, path: String) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.in_configure("read-file")?;
        self.budget.bytes(path.len())?;
        let read = self.files.read(&path);
        if let Ok(bytes) = &read {
            self.budget.bytes(bytes.len())?;
        }
        Ok(read.map(Into::into))
    }
}
