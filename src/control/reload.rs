//! SIGHUP: the configuration is read again, and what may change while we run is taken over: what the network says of
//! itself. Everything else in the file counts from the next start.

use super::{Control, amf_config};
use crate::config::Config;
use access::nr::{self, Serving};
use gateway::time::now;
use std::path::Path;
use tracing::{error, info};

impl Control {
    /// Takes over what may change of `file`; a file with a fault changes nothing.
    pub(super) fn reload(&mut self, file: &Path) {
        let config = match Config::load(file, std::env::vars()) {
            Ok(config) => config,
            Err(e) => {
                return error!("nothing of the configuration is taken over, what was in force goes on: {e}");
            }
        };
        let c = amf_config(&config);
        let (name, slices, capacity) = (&c.name, c.slices.len(), c.relative_capacity);
        info!(
            name,
            slices,
            capacity,
            "the network is called {name}, serves {slices} slices and has capacity {capacity}; all else in {} counts from \
             the next start",
            file.display()
        );
        let serving = Serving {
            name: c.name,
            display_name: c.display_name,
            time_zone: c.time_zone,
            slices: c.slices,
            relative_capacity: c.relative_capacity,
        };
        self.amf.handle(nr::Input::Serve(serving), now());
    }
}

#[cfg(test)]
mod tests {
    use crate::control::site::Site;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_is_read_again_tells_the_radio_and_one_with_a_fault_does_not() {
        let mut w = Site::new().await;
        w.attached(1).await;
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sekisho.toml");
        let write = |network: &str| {
            let text = format!(
                "[network]\nplmn = \"001-01\"\ntacs = [1]\n{network}\n[n2]\naddress = \"127.0.0.1\"\n[n3]\naddress = \
                 \"127.0.0.1\"\n[paths]\ndata = \"/var/lib/sekisho\"\n"
            );
            std::fs::write(&file, text).unwrap();
        };
        write("slices = []\nname = \"wrong\"");
        w.control.reload(&file);
        w.rest().await;
        assert!(w.updates.is_empty(), "a file with a fault changes nothing");
        write("slices = [\"1\", \"2-000003\"]\nname = \"hatago\"\nrelative_capacity = 9");
        w.control.reload(&file);
        w.rest().await;
        assert_eq!(w.updates, [("hatago".to_owned(), 2)]);
        // Read again without a change nobody is told anything, and who is there stays.
        w.control.reload(&file);
        w.rest().await;
        assert_eq!((w.updates.len(), w.sessions()), (1, 1));
    }
}
