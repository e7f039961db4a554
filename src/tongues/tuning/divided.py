"""What a trainer does otherwise where its model's weights are divided among the processes.

transformers would move the whole model to the device, wrap it, and save each process's part. Here the
model is divided before the first step, and a checkpoint holds whole tensors, which the leader writes.
"""

from pathlib import Path
from typing import Any

from tongues.tuning.sharding import load_optimiser, save_optimiser, shard, whole_weights


class DividedModel:
    """Stands before a transformers Trainer among the bases of a class."""

    args: Any
    model: Any
    optimizer: Any
    lr_scheduler: Any
    is_distributed_loading_by_transformers: bool

    def divide_model(self, checkpoint: Path | None) -> None:
        """Divide the model among the processes, with the weights of a checkpoint that is gone on from."""
        if checkpoint:
            super()._load_from_checkpoint(str(checkpoint))  # type: ignore[misc]
        shard(self.model)
        self.is_distributed_loading_by_transformers = True  # nobody wraps it again

    def _move_model_to_device(self, model: Any, device: Any) -> None:
        """Nothing: it gets there a layer at a time."""

    def _load_from_checkpoint(self, checkpoint: str, model: Any = None) -> None:
        """Nothing: `divide_model` has loaded it."""

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Weights come together first."""
        weights = whole_weights(self.model)
        if self.args.should_save:
            self._save(output_dir, state_dict=weights)  # type: ignore[attr-defined]

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        import torch

        folder, writes = Path(output_dir), self.args.should_save
        save_optimiser(self.model, self.optimizer.optimizer, folder / "optimizer.pt", writes=writes)
        if writes:
            torch.save(self.lr_scheduler.state_dict(), folder / "scheduler.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        import torch

        if checkpoint is None:
            return
        folder, reads = Path(checkpoint), self.args.should_save
        load_optimiser(self.model, self.optimizer.optimizer, folder / "optimizer.pt", reads=reads)
        schedule = torch.load(folder / "scheduler.pt", map_location="cpu", weights_only=True)
        self.lr_scheduler.load_state_dict(schedule)
