//! Three nats-servers that are one.

use crate::{Server, flow, free_port, until};

/// A cluster of three with JetStream.
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Server>,
}

impl Cluster {
    /// Starts it and waits until it has a leader.
    pub async fn start() -> Self {
        let routes: Vec<u16> = (0..3).map(|_| free_port()).collect();
        let all: Vec<String> = routes.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut servers = Vec::new();
        for (number, port) in routes.iter().enumerate() {
            let (name, here) = (format!("n{number}"), format!("nats://127.0.0.1:{port}"));
            let all = all.join(",");
            servers.push(
                Server::start_with(&[
                    "--jetstream",
                    "--name",
                    &name,
                    "--cluster_name",
                    "test",
                    "--cluster",
                    &here,
                    "--routes",
                    &all,
                ])
                .await,
            );
        }
        let cluster = Self { servers };
        until("the cluster to have a leader", async || {
            let context = flow::context(&cluster.urls()).await?;
            context.query_account().await.ok()
        })
        .await;
        cluster
    }

    /// The addresses of all three, separated by commas.
    #[must_use]
    pub fn urls(&self) -> String {
        self.servers.iter().map(Server::url).collect::<Vec<_>>().join(",")
    }

    /// Which of the servers leads a stream.
    pub async fn leader_of(&self, stream: &str) -> usize {
        until("a leader", async || {
            let context = flow::context(&self.urls()).await?;
            let info = context.get_stream(stream).await.ok()?.cached_info().clone();
            info.cluster?.leader?.strip_prefix('n')?.parse().ok()
        })
        .await
    }

    /// Kills one of them as a power failure would, waits until the others have gone on, and starts it again.
    pub async fn restart(&mut self, server: usize) {
        self.servers[server].stop();
        for stream in ["ORDERS", "CLEAN"] {
            until("another leader", async || {
                let others = self.servers.iter().enumerate().filter(|(number, _)| *number != server);
                let urls: Vec<String> = others.map(|(_, server)| server.url()).collect();
                let context = flow::context(&urls.join(",")).await?;
                let info = context.get_stream(stream).await.ok()?.cached_info().clone();
                info.cluster?.leader.filter(|leader| *leader != format!("n{server}"))
            })
            .await;
        }
        self.servers[server].restart().await;
        // One that still lags behind cannot lead, so killing the next leader before would leave nobody.
        for stream in ["ORDERS", "CLEAN"] {
            until("the cluster to be whole again", async || {
                let context = flow::context(&self.urls()).await?;
                let cluster = context.get_stream(stream).await.ok()?.cached_info().cluster.clone()?;
                let whole =
                    cluster.replicas.len() == 2 && cluster.replicas.iter().all(|peer| peer.current && !peer.offline);
                whole.then_some(())
            })
            .await;
        }
    }
}
