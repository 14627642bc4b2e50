//! The metadata log's shell, on the shard that owns it: decide, append, wait for the commit, replay, publish.
//!
//! One change at a time. A later quorum takes the place of the local partition without a change to its callers.

use std::rc::Rc;
use std::sync::Arc;

use rinka_storage::record_batch::RecordBatchBuilder;

use super::Shard;
use super::mailbox::Lane;
use super::partition::PartitionError;
use super::shard_map::METADATA;
use crate::controller::Decision;
use crate::metadata::image::MetadataImage;
use crate::node::Node;

impl Shard {
    /// Carries out a change of metadata on the shard that owns the log. When this returns, every shard has reconciled its
    /// partitions with it.
    pub(crate) async fn change_metadata<R: Send + 'static>(
        self: &Rc<Self>,
        decide: impl FnOnce(&MetadataImage, &Node) -> Decision<R> + Send + 'static,
    ) -> Result<R, PartitionError> {
        let owner = self.owner(METADATA);
        let started = self
            .start_on(owner, Lane::Read, move |shard| {
                let shard = Rc::clone(shard);
                async move { shard.change_metadata_here(decide).await }
            })
            .await
            .map_err(|_| PartitionError::Stopping)?;
        started.wait().await.map_err(|_| PartitionError::Stopping)?
    }

    async fn change_metadata_here<R>(
        self: Rc<Self>,
        decide: impl FnOnce(&MetadataImage, &Node) -> Decision<R>,
    ) -> Result<R, PartitionError> {
        let _turn = self.metadata_turn.lock().await;
        let image = Arc::clone(&self.image.borrow());
        let change = decide(&image, &self.node);
        if change.records.is_empty() {
            return Ok(change.response);
        }
        let partition = self.partition(METADATA).ok_or(PartitionError::Unknown)?;
        let mut batch = RecordBatchBuilder::new();
        let now = self.wall_clock();
        for record in &change.records {
            let mut value = Vec::new();
            record.encode(&mut value);
            batch.append(now, None, Some(&value));
        }
        self.store.admit().await;
        let committed = partition
            .append_own(&self, &batch.build())
            .map_err(PartitionError::Append)?;
        committed
            .wait()
            .await
            .unwrap_or(Err(PartitionError::Stopping))?;
        let mut next = MetadataImage::clone(&image);
        for record in &change.records {
            next.replay(record)
                .expect("the controller decided it against this image");
        }
        self.publish(Arc::new(next)).await?;
        Ok(change.response)
    }

    /// Hands the image to every shard and waits until each has reconciled.
    async fn publish(self: &Rc<Self>, image: Arc<MetadataImage>) -> Result<(), PartitionError> {
        let mut answers = Vec::with_capacity(self.shards());
        for shard in 0..self.shards() {
            let image = Arc::clone(&image);
            let reconcile = move |shard: &Rc<Self>| {
                shard.reconcile(&image);
                std::future::ready(())
            };
            answers.push(
                self.start_on(shard, Lane::Read, reconcile)
                    .await
                    .map_err(|_| PartitionError::Stopping)?,
            );
        }
        for answer in answers {
            answer.wait().await.map_err(|_| PartitionError::Stopping)?;
        }
        Ok(())
    }
}
