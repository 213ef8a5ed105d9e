# pyright: reportMissingImports=false
# torch is an optional extra, absent where the sources are checked
"""Fine-tune a pruned model on text that the dense model writes, until it says what the dense model says.

Weights and norms learn to give the dense model's distribution of the next token (KL divergence); embedding and head
stay as they are. In every step the weights are rounded to the codes that the compiler will make of them. For the first
part of training the pruned weights learn too, and every 10 steps each group of 16 inputs chooses again which to keep,
as many as it had; then the masks are fixed. Writes a Hugging Face folder with the rounded weights, for

    lacuna compile FOLDER -o PROG --method magnitude --bits 5

Needs the extra `torch`, and a GPU for a model of any use. docs/compression.md says what came of it.

    python -m bench.huggingface_folder SmolLM2-135M-Instruct.Q4_1.gguf -o PRUNED --sparsity 8:16
    python -m bench.model_texts SmolLM2-135M-Instruct.Q4_1.gguf -o texts.npy
    python -m bench.finetune_sparse SmolLM2-135M-Instruct.Q4_1.gguf PRUNED texts.npy -o FOLDER
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from bench.huggingface_folder import write_folder
from bench.torch_llama import block, device_weights, head, hidden, where_and_type
from compiler.compress.quantise import code_range
from compiler.frontend import load_model
from compiler.frontend.model import LlamaConfig, Tensor
from golden.params import BLOCK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.torch_llama import Weights

HELD_OUT = 64  # texts
NORM_RATE = 0.1  # learning rate of the norms, as a share of that of the matrices
WARM_UP, LAST_RATE = 50, 0.02  # steps to the peak of the learning rate; its share that is left at the end
CHOICE = 10  # steps between two choices of the masks
PRUNED_DECAY = 2.0  # the extra pull on pruned weights (SR-STE), so that masks settle; per unit of learning rate


def divergence(student: torch.Tensor, teacher: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    """KL(teacher || student) in nats a token; hidden states [batch, T, dim]."""
    q, p = (torch.log_softmax(functional.linear(x, head).float(), -1) for x in (student, teacher))
    return (p.exp() * (p - q)).sum(-1).mean()


def rounded(values: torch.Tensor, bits: int, group: int) -> torch.Tensor:
    """[rows, K] in codes of `bits` with a scale that just reaches the extremes of each group.

    The compiler, given the result, finds the same codes: its search starts with this scale.
    """
    low, high = code_range(bits)
    grouped = values.unflatten(-1, (-1, group))
    scale = torch.maximum(grouped.amax(-1, keepdim=True) / high, grouped.amin(-1, keepdim=True) / low)
    return ((grouped / scale.clamp_min(1e-12)).round().clamp(low, high) * scale).flatten(-2)


def strongest(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """bool [rows, K]: as many in every group of 16 inputs as `mask` has, those of the largest magnitudes."""
    count = mask.unflatten(-1, (-1, BLOCK)).sum(-1, keepdim=True)
    order = values.abs().unflatten(-1, (-1, BLOCK)).argsort(-1, descending=True)
    return (order.argsort(-1) < count).flatten(-2)


def effective(values: torch.Tensor, mask: torch.Tensor, bits: int, group: int, free: bool) -> torch.Tensor:
    """The weights that the engine will have; gradients pass to the kept ones as if nothing were rounded.

    With `free`, gradients pass to the pruned ones too, as if they were kept.
    """
    kept = values * mask
    through = values if free else kept
    return through + (rounded(kept, bits, group) - through).detach()


class Student:
    """The sparse model in training.

    Args:
        dense: weights of the dense model.
        pruned: the start, float32; its zeros are the first masks.
        bits, group: codes the matrices are rounded to.

    Attributes:
        values: what is learnt, by name, pruned weights with it. masks: which of each matrix are kept.
        free: whether pruned weights learn.
    """

    def __init__(self, dense: Weights, pruned: Weights, bits: int, group: int) -> None:
        self.dense, self.kind, self.bits, self.group = dense, dense["embed"].dtype, bits, group
        self.free = True
        self.values = {name: values for name, values in pruned.items() if name.startswith("layers.") or name == "norm"}
        self.masks = {name: values != 0 for name, values in self.values.items() if values.ndim == 2}
        for values in self.values.values():
            values.requires_grad_()

    def weights(self, effective: Callable = effective) -> Weights:
        """All weights as the engine will have them, in the type of the dense model's."""
        made = {
            name: effective(values, self.masks[name], self.bits, self.group, self.free).to(self.kind)
            if name in self.masks
            else values
            for name, values in self.values.items()
        }
        return self.dense | made

    @torch.no_grad()
    def choose(self) -> None:
        """Change the masks to the weights that are now the strongest."""
        for name, mask in self.masks.items():
            mask.copy_(strongest(self.values[name], mask))

    @torch.no_grad()
    def shrink(self, share: float) -> None:
        """Make pruned weights smaller."""
        for name, mask in self.masks.items():
            self.values[name].mul_(torch.where(mask, 1.0, 1 - share))

    @torch.no_grad()
    def tensors(self) -> dict[str, Tensor]:
        """The trained tensors, float32."""
        made = {
            name: rounded(values * self.masks[name], self.bits, self.group) if name in self.masks else values
            for name, values in self.values.items()
        }
        return {name: Tensor(values=values.cpu().numpy()) for name, values in made.items()}


def batches(texts: torch.Tensor, args: argparse.Namespace) -> Iterator[torch.Tensor]:
    """`args.batch` texts at a time, without end; in a new order each time round."""
    order = torch.Generator().manual_seed(args.seed)
    while True:
        chosen = torch.randperm(len(texts), generator=order).to(texts.device)
        for some in chosen[: len(texts) // args.batch * args.batch].split(args.batch):
            yield texts[some].long()


def rate_share(step: int, done: float) -> float:
    """The learning rate as a share of its peak: a line up, then a cosine down, `done` being the share of training."""
    return min(1.0, step / WARM_UP) * (LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2)


def train(config: LlamaConfig, student: Student, texts: torch.Tensor, args: argparse.Namespace) -> None:
    """AdamW with a cosine schedule over the steps or the minutes, whichever end first; prints the divergence."""
    compiled = (lambda f: f) if args.eager else torch.compile
    layer_of, loss_of, effective_of = compiled(block), compiled(divergence), compiled(effective)
    held_out, texts = texts[:HELD_OUT].long().split(args.batch), texts[HELD_OUT:]

    def loss(tokens: torch.Tensor, weights: Weights) -> torch.Tensor:
        with torch.no_grad():
            wanted = hidden(config, student.dense, tokens, layer_of)
        return loss_of(hidden(config, weights, tokens, layer_of), wanted, head(weights))

    @torch.no_grad()
    def report(step: int) -> None:
        weights = student.weights(effective_of)
        mean = np.mean([loss(part, weights).item() for part in held_out])
        print(f"step {step}: divergence {mean:.4f} nats/token held out, {time.monotonic() - began:.0f} s", flush=True)

    matrices = [student.values[name] for name in student.masks]
    norms = [values for name, values in student.values.items() if name not in student.masks]
    groups = [{"params": matrices, "share": 1.0}, {"params": norms, "share": NORM_RATE}]
    optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.95), weight_decay=0.0)
    student.free = args.free > 0
    began, done = time.monotonic(), 0.0
    report(0)
    for step, tokens in enumerate(batches(texts, args), 1):
        rate = args.rate * rate_share(step, done)
        for group in optimiser.param_groups:
            group["lr"] = rate * group["share"]
        optimiser.zero_grad(set_to_none=True)
        loss(tokens, student.weights(effective_of)).backward()
        torch.nn.utils.clip_grad_norm_(student.values.values(), 1.0)
        optimiser.step()
        if student.free:
            student.shrink(rate * PRUNED_DECAY)
            if step % CHOICE == 0:
                student.choose()
                student.free = done < args.free
        done = max(step / args.steps, (time.monotonic() - began) / (args.deadline - began))
        if step % args.report == 0 or done >= 1:
            report(step)
        if done >= 1:
            return


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="any model that the compiler reads")
    parser.add_argument("pruned", type=Path, help="the same with zeros, a start")
    parser.add_argument("texts", type=Path, nargs="+", help="of the model's own (bench.model_texts)")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--bits", type=int, choices=(2, 3, 4, 5, 8), default=5)
    parser.add_argument("--group", type=int, choices=(16, 32, 64, 128), default=32, help="inputs that share a scale")
    parser.add_argument("--batch", type=int, default=32, help="texts of a step")
    parser.add_argument("--steps", type=int, default=4600)
    parser.add_argument("--minutes", type=float, default=math.inf, help="of the whole run; shortens training")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--report", type=int, default=200, help="steps between two reports")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--free", type=float, default=0.5, help="share of training in which masks may change; 0: never")
    parser.add_argument("--eager", action="store_true", help="without torch.compile")
    args = parser.parse_args()
    args.deadline = time.monotonic() + 60 * args.minutes
    torch.manual_seed(args.seed)
    device, kind = where_and_type()
    model = load_model(args.model)
    dense = device_weights(model, device, kind)
    pruned = device_weights(load_model(args.pruned), device, torch.float32)
    texts = torch.from_numpy(np.concatenate([np.load(file) for file in args.texts])).to(device)
    student = Student(dense, pruned, args.bits, args.group)
    train(model.config, student, texts, args)
    write_folder(replace(model, tensors=model.tensors | student.tensors()), args.output)


if __name__ == "__main__":
    main()
