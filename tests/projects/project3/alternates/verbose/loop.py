"""The loop, step by step, with long names."""

import contextlib
from dataclasses import dataclass, field

import data
import loss as losses
import schedule
import torch
from torch.nn import functional


@dataclass
class TrainConfig:
    """What a run needs to know, apart from the model and the data. Given complete."""

    steps: int  # optimizer steps of the whole run
    batch_size: int  # B: sequences of one optimizer step
    micro_batch_size: int  # sequences of one forward pass; less memory, same result
    block_size: int  # T: tokens of a sequence
    max_lr: float = 6e-4
    min_lr: float = 6e-5
    warmup_steps: int = 0
    weight_decay: float = 0.1
    max_norm: float = 1.0  # gradients are clipped to this length
    dtype: str = "float32"  # or "bfloat16": what the forward pass computes in
    device: str = "cpu"
    seed: int = 0  # of the order of the data
    eval_every: int = 0  # steps between two evaluations; 0: none
    eval_batches: int = 1  # batches of one evaluation


@dataclass
class TrainResult:
    """What came of a run. Given complete."""

    losses: list[float] = field(default_factory=list)  # of each step that this call made, in order
    val_losses: dict[int, float] = field(default_factory=dict)  # steps done -> validation loss


def clip_grad_norm(params, max_norm):
    parameters_with_gradient = []
    for parameter in params:
        if parameter.grad is not None:
            parameters_with_gradient.append(parameter)
    sum_of_squares = torch.tensor(0.0, dtype=torch.float64)
    for parameter in parameters_with_gradient:
        sum_of_squares = sum_of_squares + (parameter.grad.double() ** 2).sum().cpu()
    norm_before_clipping = torch.sqrt(sum_of_squares)
    if float(norm_before_clipping) > max_norm:
        factor = max_norm / float(norm_before_clipping)
        for parameter in parameters_with_gradient:
            parameter.grad.copy_(parameter.grad * factor)
    return norm_before_clipping


def autocast_for(device_type, dtype):
    if dtype == "float32":
        context = contextlib.nullcontext()
    elif dtype == "bfloat16":
        context = torch.amp.autocast(device_type=device_type, dtype=torch.bfloat16, enabled=True)
    else:
        raise ValueError(f"I do not know the dtype {dtype}.")
    return context


def accumulate(model, micro_batches, *, ignore_index=-100, dtype="float32"):
    number_of_counted_targets = 0
    for _, targets in micro_batches:
        for row in targets:
            for target in row.tolist():
                if target != ignore_index:
                    number_of_counted_targets += 1
    if number_of_counted_targets == 0:
        raise ValueError("There is no target that counts.")
    loss_so_far = 0.0
    for inputs, targets in micro_batches:
        with autocast_for(inputs.device.type, dtype):
            logits, _ = model(inputs)
        at_least_float32 = torch.promote_types(logits.dtype, torch.float32)
        each = functional.cross_entropy(
            logits.to(at_least_float32).reshape(-1, logits.shape[-1]),
            targets.reshape(-1),
            ignore_index=ignore_index,
            reduction="none",
        )
        share_of_the_loss = each.sum() / number_of_counted_targets
        share_of_the_loss.backward()
        loss_so_far += share_of_the_loss.item()
    return loss_so_far


def train_step(model, optimizer, x, y, *, lr, micro_batch_size, max_norm, ignore_index=-100, dtype="float32"):
    for parameter in model.parameters():
        parameter.grad = None
    micro_batches = []
    first_row = 0
    while first_row < x.shape[0]:
        last_row = min(first_row + micro_batch_size, x.shape[0])
        micro_batches.append((x[first_row:last_row], y[first_row:last_row]))
        first_row = last_row
    loss = accumulate(model, micro_batches, ignore_index=ignore_index, dtype=dtype)
    gradient_norm = clip_grad_norm(model.parameters(), max_norm)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return {"loss": float(loss), "grad_norm": float(gradient_norm), "lr": lr}


def train(config, model, train_data, val_data, *, callbacks=(), optimizer=None, generator=None, start_step=0):
    if optimizer is None:
        optimizer = schedule.configure_optimizers(model, lr=config.max_lr, weight_decay=config.weight_decay)
    if generator is None:
        generator = torch.Generator()
        generator.manual_seed(config.seed)
    all_losses = []
    all_validation_losses = {}
    step = start_step
    while step < config.steps:
        inputs, targets = data.get_batch(
            train_data,
            config.batch_size,
            config.block_size,
            device=config.device,
            generator=generator,
        )
        learning_rate = schedule.lr_at(
            step,
            max_lr=config.max_lr,
            min_lr=config.min_lr,
            warmup_steps=config.warmup_steps,
            max_steps=config.steps,
        )
        model.train()
        numbers = train_step(
            model,
            optimizer,
            inputs,
            targets,
            lr=learning_rate,
            micro_batch_size=config.micro_batch_size,
            max_norm=config.max_norm,
            dtype=config.dtype,
        )
        all_losses.append(numbers["loss"])
        report = {"step": step, "loss": numbers["loss"], "lr": learning_rate}
        report["grad_norm"] = numbers["grad_norm"]
        step = step + 1
        if config.eval_every != 0:
            is_due = step % config.eval_every == 0
            is_last = step == config.steps
            if is_due or is_last:
                validation_generator = torch.Generator()
                validation_generator.manual_seed(config.seed)
                validation_batches = []
                for _ in range(config.eval_batches):
                    validation_batches.append(
                        data.get_batch(
                            val_data,
                            config.batch_size,
                            config.block_size,
                            device=config.device,
                            generator=validation_generator,
                        )
                    )
                found = losses.estimate_loss(model, validation_batches, config.eval_batches)
                report["val_loss"] = found["loss"]
                all_validation_losses[step] = found["loss"]
        for callback in callbacks:
            callback(report)
    return TrainResult(losses=all_losses, val_losses=all_validation_losses)
