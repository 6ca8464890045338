"""The whole state of an Ultralytics training, so that one that goes on ends with the bytes of an undisturbed one.

Its own checkpoint holds the averaged weights alone, in half precision, and takes them for the trained ones when it goes
on. The order of the images and those that a mosaic is made of would begin anew as well.
"""

from typing import Any

__all__ = ["bring_back_state", "draw_order_by_epoch", "keep_state"]


def draw_order_by_epoch(trainer: Any) -> None:
    """Draw the order of an epoch's images from the global generator, which every epoch seeds, not from the loader's."""
    trainer.train_loader.sampler.generator = None


def keep_state(trainer: Any) -> None:
    """Write everything that the next epoch rests on over the trainer's last checkpoint, in full precision.

    Gradients are not in it: where fewer images are in memory than stand behind one step of the optimiser, those that an
    epoch has left over are lost to a training that goes on.
    """
    import torch
    from ultralytics.nn.tasks import torch_safe_load

    stored, _ = torch_safe_load(trainer.last)
    stored["ema"].float().load_state_dict(trainer.ema.ema.state_dict())
    stored["optimizer"] = trainer.optimizer.state_dict()
    stored["trained"] = trainer.model.state_dict()
    stored["at_hand"] = list(trainer.train_loader.dataset.buffer)
    torch.save(stored, trainer.last)


def bring_back_state(trainer: Any) -> None:
    """Add to what Ultralytics took from the checkpoint that it goes on from what `keep_state` added."""
    from ultralytics.nn.tasks import torch_safe_load

    stored, _ = torch_safe_load(trainer.args.model)
    trainer.model.load_state_dict(stored["trained"])
    for index in stored["at_hand"]:
        trainer.train_loader.dataset.load_image(index)
