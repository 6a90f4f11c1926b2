"""Make the sample checkpoint: ``python scripts/sample/train.py --out samples``.

Builds the text, the tokenizer and a small Llama, trains it, gives it outlier channels (``outliers.py``) and
writes ``checkpoints/tiny-llama-pydoc/``, ``calibration.jsonl`` and ``held-out.txt`` under ``--out``. Ctrl-C
stops at the next step and keeps the state; the same command continues. The same seed, Python, libraries,
thread count and processor give the same bytes.
"""

from __future__ import annotations

import argparse
import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from corpus import collect
from outliers import add_outliers
from overlap import shared, split_documents
from text_files import write_calibration, write_held_out
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from vocabulary import pack, save_tokenizer, train_tokenizer

NAME = "tiny-llama-pydoc"


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result."""

    seed: int = 0
    steps: int = 1400
    warmup: int = 150
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    tokens_per_step: int = 4096
    vocabulary: int = 2048


def llama_config(plan: Plan, tokenizer: PreTrainedTokenizerFast) -> LlamaConfig:
    """4.5 M parameters; every linear's input width is a multiple of 128."""
    return LlamaConfig(
        vocab_size=plan.vocabulary,
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=5,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def batch_at(stream: Tensor, step: int, plan: Plan) -> Tensor:
    """The windows of one step, (sequences, tokens): it depends on seed and step alone, so a resume is exact."""
    length = 512 if step % 4 == 3 else 256
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
    starts = torch.randint(0, len(stream) - length, (plan.tokens_per_step // length,), generator=generator)
    return torch.stack([stream[s : s + length] for s in starts.tolist()])


def learning_rate_at(step: int, plan: Plan) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    along = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * along)))


def make_optimizer(model: LlamaForCausalLM, plan: Plan) -> torch.optim.AdamW:
    """AdamW; norms and embeddings are not decayed."""
    decayed = [p for n, p in model.named_parameters() if p.dim() == 2 and "embed" not in n]
    other = [p for n, p in model.named_parameters() if p.dim() != 2 or "embed" in n]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": other, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.95), fused=True)


@torch.no_grad()
def mean_loss(model: LlamaForCausalLM, stream: Tensor, sequences: int = 64, length: int = 256) -> float:
    """Mean next-token loss in nats over the first ``sequences`` windows of the stream."""
    count = min(sequences, len(stream) // length)
    windows = stream[: count * length].view(count, length)
    with torch.autocast("cpu", torch.bfloat16):
        return sum(model(w, labels=w).loss.item() * len(w) for w in windows.split(16)) / count


def train(model: LlamaForCausalLM, streams: dict[str, Tensor], plan: Plan, state: Path, say: Callable) -> bool:
    """Train to the plan's end; False when cancelled before it, with the state saved."""
    optimizer = make_optimizer(model, plan)
    first = restore(model, optimizer, plan, state)
    cancelled: list[int] = []
    previous = signal.signal(signal.SIGINT, lambda number, _: cancelled.append(number))
    started, running = time.monotonic(), 0.0
    try:
        for step in range(first, plan.steps):
            if cancelled:
                save(model, optimizer, plan, step, state)
                say(f"stopped before step {step}; the same command continues")
                return False
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, plan)
            batch = batch_at(streams["train"], step, plan)
            with torch.autocast("cpu", torch.bfloat16):
                loss = model(batch, labels=batch, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            running = loss.item() if step == first else 0.98 * running + 0.02 * loss.item()
            if (step + 1) % 50 == 0:
                rate = (step + 1 - first) / (time.monotonic() - started)
                left = (plan.steps - step - 1) / rate / 60
                dev = f", dev {mean_loss(model, streams['dev']):.3f}" if (step + 1) % 300 == 0 else ""
                say(f"step {step + 1}/{plan.steps}: loss {running:.3f}{dev}, {left:.1f} min left")
                save(model, optimizer, plan, step + 1, state)
    finally:
        signal.signal(signal.SIGINT, previous)
    return True


def save(model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, plan: Plan, step: int, state: Path) -> None:
    """Keep what a resume needs, replacing the file in one move."""
    temporary = state.with_suffix(".tmp")
    content = {"plan": asdict(plan), "step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(content, temporary)
    temporary.replace(state)


def restore(model: LlamaForCausalLM, optimizer: torch.optim.Optimizer, plan: Plan, state: Path) -> int:
    """Load a state of the same plan and return its step; 0 when there is none."""
    if not state.exists():
        return 0
    saved = torch.load(state, weights_only=True)
    if saved["plan"] != asdict(plan):
        raise SystemExit(f"{state} belongs to another plan; remove it to start over")
    model.load_state_dict(saved["model"])
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"]


def write_checkpoint(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path, say: Callable) -> None:
    """Round to bfloat16, add the outlier channels (same function, bit for bit) and save."""
    model.to(torch.bfloat16).eval()
    probe = torch.arange(model.config.vocab_size).view(8, -1)
    with torch.no_grad():
        before = model(probe).logits
        for line in add_outliers(model):
            say(line)
        difference = (model(probe).logits - before).abs().max().item()
    if difference != 0:
        raise AssertionError(f"the outlier channels changed the logits by {difference}")
    model.save_pretrained(folder)
    save_tokenizer(tokenizer, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the samples folder")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    plan = Plan(seed=options.seed, steps=options.steps)

    def say(line: str) -> None:
        print(line, flush=True)

    folder = options.out / "checkpoints" / NAME
    folder.mkdir(parents=True, exist_ok=True)
    documents = split_documents(collect(), plan.seed)
    for split in ("calibration", "dev", "train"):
        lines, runs = shared(documents["held_out"], documents[split])
        say(f"held-out shares {lines} long lines and {runs} eight-word runs with {split}")
    tokenizer = train_tokenizer(documents["train"], plan.vocabulary)
    streams = {split: pack(tokenizer, found) for split, found in documents.items()}
    for split, found in documents.items():
        characters = sum(len(d.text) for d in found)
        say(f"{split}: {len(found)} documents, {characters} characters, {len(streams[split])} tokens")
    say(f"calibration pieces: {write_calibration(documents['calibration'], options.out / 'calibration.jsonl')}")
    say(f"held-out documents: {write_held_out(documents['held_out'], options.out / 'held-out.txt')}")

    model = LlamaForCausalLM(llama_config(plan, tokenizer))
    say(f"parameters: {sum(p.numel() for p in model.parameters())}")
    state = options.out / f"{NAME}.partial.pt"
    if train(model, streams, plan, state, say):
        write_checkpoint(model, tokenizer, folder, say)
        state.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
