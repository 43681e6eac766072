"""One training run's state, and what one step does to it.

The loss is the mean squared error on standardised activations (see `dictionaries.standardise`), so it and the learning rate
mean the same at every site: an error of 1 is predicting the mean. To it come the sparsifier's penalty and, for dead latents,
AuxK. Everything a run is made of goes through `save` and `restore`.
"""

import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probe.artifacts.schemas import fields, number, whole
from probe.dictionaries import Code, Sparsifier, Standardiser
from probe.dictionaries.dead import aux_loss
from probe.dictionaries.rows import drop_parallel, ease, forget, unit_decoder
from probe.dictionaries.store import AnyDictionary, shape_of
from probe.distributed import world
from probe.errors import OpenworkError
from probe.training.checkpoint import write_checkpoint
from probe.training.config import TrainConfig
from probe.training.learning_rate_schedule import learning_rate


def _means(loss: Tensor, error: Tensor, y: Tensor, code: Code) -> list[float]:
    """Loss, mean squared error, variance about the mean and L0, means over rows."""
    sums = float(y.square().sum()), int(code.l0().sum())
    return [float(loss.detach()), float(error.detach()), *(one / len(y) for one in sums)]


@dataclass
class _Window:
    """Sums since the last line of metrics, kept on Python floats so that they pass through a checkpoint exactly."""

    tokens: int = 0
    loss: float = 0.0
    error: float = 0.0
    variance: float = 0.0
    active: int = 0
    clock: float = field(default_factory=time.perf_counter)

    def sums(self) -> dict[str, Any]:
        return {k: v for k, v in asdict(self).items() if k != "clock"}


class Training:
    """The state of a run and what one step does to it. `train` drives it; use this to write a loop of your own."""

    def __init__(
        self, dictionary: AnyDictionary, scaling: Standardiser, config: TrainConfig, total_tokens: int, data: str = ""
    ):
        self.dictionary, self.scaling, self.config, self.total_tokens = (
            dictionary.train(),
            scaling,
            config,
            total_tokens,
        )
        self.data = data  # which data, see `pairs.identity_of`
        self._rules = [part for part in dictionary.modules() if isinstance(part, Sparsifier)]
        self.optimizer = torch.optim.Adam(self._groups(), lr=config.lr, fused=True)
        self.silent = torch.zeros(dictionary.d_dict, dtype=torch.int64, device=dictionary.W_enc.device)
        self.steps, self.tokens, self.seconds = 0, 0, 0.0
        self.position: dict[str, Any] | None = None
        self.window = _Window()

    def _groups(self) -> list[dict[str, Any]]:
        """Weights by how fast they are learned: what a sparsifier learns has a pace of its own."""
        own = {id(weight): rule.pace for rule in self._rules for weight in rule.parameters(recurse=False)}
        paces: dict[float, list[Tensor]] = {}
        for weight in self.dictionary.parameters():
            paces.setdefault(own.get(id(weight), 1.0), []).append(weight)
        return [{"params": weights, "pace": pace} for pace, weights in paces.items()]

    def step(self, inputs: Float[Tensor, "row d_in"], targets: Float[Tensor, "row d_out"]) -> float:
        """One step of Adam on raw activations; returns the loss. Raises OpenworkError if it is not finite.

        Where several processes train together each is given the whole batch and works on its share of it.
        """
        like, own, n = self.dictionary.W_enc, world().share(len(inputs)), len(inputs)
        x, y = self.scaling.inputs(inputs[own.rows].to(like)), self.scaling.targets(targets[own.rows].to(like))
        for rule in self._rules:
            rule.at(self._share())
        self.optimizer.zero_grad(set_to_none=True)
        recons, code, error, loss = self._forward(x, y)
        world().backward(
            loss, own.weight, self.dictionary.parameters()
        )  # gradients of the whole batch, on every process
        value, *rest = world().mean(_means(loss, error, y, code), own.weight)
        self._finite(value if math.isfinite(float(x.sum())) else math.nan)  # a rule may pick nothing of a row of NaN
        self._update(n)
        self._count(n, value, *rest, fired=world().sum(code.firings()) > 0)
        if bool((dead := self.dead()).any()):
            ease(self.dictionary, dead)
        # After the step: it is the errors of the weights before it that say where latents are missing.
        if self.config.resample_every and self.steps % self.config.resample_every == 0:
            self._resample(world().join(x)[:n], world().join(y - recons.detach())[:n])
        return value

    def _forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Code, Tensor, Tensor]:
        """Reconstruction, code, mean squared error and the whole loss."""
        device, low = x.device.type, self.config.precision == "bfloat16"
        with torch.autocast(device, torch.bfloat16) if low else nullcontext():
            recons, code = self.dictionary.run(x)
        error = (recons - y).square().mean()  # over rows and dimensions; 1 is predicting the mean
        loss, penalty = error, self.dictionary.penalty(code, recons, y)
        if penalty is not None:
            loss = loss + penalty
        if self.config.aux and bool((dead := self.dead()).any()):
            # AuxK (Gao et al. 2024): the k dead latents nearest to firing reconstruct what the others left, so that they get a
            # gradient at all; the others get none of it.
            k = self.config.aux_k or max(1, self.dictionary.d_in // 2)
            loss = loss + self.config.aux * aux_loss(self.dictionary.dead_reconstruction(x, dead, k), y - recons)
        return recons, code, error, loss

    def _finite(self, loss: float) -> None:
        if not math.isfinite(loss):
            raise OpenworkError(
                f"The loss became {loss} at step {self.steps + 1} (learning rate {self.lr():.2g}). Lower the learning rate, or "
                "check the activations for NaN and infinite numbers. The last checkpoint is kept."
            )

    def _update(self, n: int) -> None:
        """Clip the gradients and take the optimizer's step at the learning rate after n more tokens."""
        unit = self.config.decoder == "unit"
        if unit:  # rows of norm 1: what would only lengthen them would spend the step, and is undone after it
            drop_parallel(self.dictionary)
        torch.nn.utils.clip_grad_norm_(self.dictionary.parameters(), self.config.clip)
        for group in self.optimizer.param_groups:
            group["lr"] = group["pace"] * self.lr(n)
        self.optimizer.step()
        if unit:
            unit_decoder(self.dictionary)

    def lr(self, ahead: int = 0) -> float:
        """The learning rate after `ahead` more tokens."""
        return learning_rate(self.config, self._share(ahead))

    def _share(self, ahead: int = 0) -> float:
        """Share of the training that is done after `ahead` more tokens."""
        return min((self.tokens + ahead) / self.total_tokens, 1.0)

    def dead(self) -> Bool[Tensor, " d_dict"]:
        """Latents that did not fire on the last `dead_tokens` tokens."""
        return self.silent >= self.config.dead_tokens

    @torch.no_grad()
    def _count(self, n: int, loss: float, error: float, variance: float, l0: float, fired: Tensor) -> None:
        self.steps, self.tokens = self.steps + 1, self.tokens + n
        self.silent += n  # d_dict: tokens since each latent fired
        self.silent[fired] = 0
        self.window.tokens += n
        self.window.loss += loss * n
        self.window.error += error * (n * self.dictionary.d_out)
        self.window.variance += variance * n
        self.window.active += round(l0 * n)

    def _resample(self, x: Tensor, residual: Tensor) -> None:
        """Revive dead latents; what was drawn depends on seed and step alone, so a resumed run draws the same."""
        dead = self.dead()
        if not bool(dead.any()):
            return
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + self.steps)
        self.dictionary.revive(dead, x, residual, generator)
        # Adam's moments are of the weights that were; kept, they would push the new ones on in the old direction.
        forget(self.optimizer, self.dictionary, dead)
        self.silent[dead] = 0

    def metrics(self) -> dict[str, Any]:
        """What happened since the last call, as one line of the log. FVU is about the mean of the whole training data; loss
        includes penalties, mse does not (both on standardised activations)."""
        w, now = self.window, time.perf_counter()
        self.window = _Window()
        self.seconds += now - w.clock
        return {
            "step": self.steps,
            "tokens": self.tokens,
            "loss": w.loss / w.tokens,
            "mse": w.error / (w.tokens * self.dictionary.d_out),
            "fvu": w.error / max(w.variance, 1e-30),
            "l0": w.active / w.tokens,
            "dead_share": float(self.dead().double().mean()),
            "lr": self.lr(),
            "tokens_per_second": w.tokens / max(now - w.clock, 1e-9),
            "seconds": self.seconds,
        }

    def settings(self) -> dict[str, dict[str, Any]]:
        """What a run and its continuation must share."""
        return {
            "config": asdict(self.config),
            "shape": shape_of(self.dictionary),
            "source": {"data": self.data},
        }

    def save(self, folder: Path) -> None:
        """Write a checkpoint."""
        seconds = self.seconds + time.perf_counter() - self.window.clock
        state = {
            **self.settings(),
            "counts": {"steps": self.steps, "tokens": self.tokens, "seconds": seconds},
            "window": self.window.sums(),
            "position": self.position,
        }
        write_checkpoint(folder, self._tensors(), state)

    def _tensors(self) -> dict[str, Tensor]:
        found = {"silent": self.silent} | {f"scaling.{k}": v for k, v in vars(self.scaling).items()}
        found |= {f"buffer.{name}": value for name, value in self.dictionary.named_buffers()}
        for name, weight in self.dictionary.named_parameters():
            found[name] = weight
            found |= {f"{name}.{k}": v for k, v in self.optimizer.state[weight].items()}
        return found

    def restore(self, saved: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Continue from a checkpoint. The layout of each weight in memory is kept, so the arithmetic is the same."""
        _require_shapes(saved, self._tensors())
        with torch.no_grad():
            for name, weight in self.dictionary.named_parameters():
                weight.copy_(saved[name])
                kept = {k: saved[f"{name}.{k}"] for k in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{k}" in saved}
                self.optimizer.state[weight] = {
                    k: v if k == "step" else torch.empty_like(weight).copy_(v) for k, v in kept.items()
                }
            for name, value in self.dictionary.named_buffers():
                value.copy_(saved[f"buffer.{name}"])
            self.silent.copy_(saved["silent"])
        # Copied: a tensor that lies elsewhere in its file's memory than a new one would is added up in another order.
        self.scaling = Standardiser(**{k: saved[f"scaling.{k}"].clone() for k in vars(self.scaling)})
        self.steps, self.tokens, self.seconds = (state["counts"][k] for k in ("steps", "tokens", "seconds"))
        if not fields({"steps": whole(), "tokens": whole(), "seconds": number(0)})(state["counts"]):
            raise ValueError("it does not say how far it came")
        self.position, self.window = state["position"], _Window(**state["window"])


def _require_shapes(saved: dict[str, Tensor], now: dict[str, Tensor]) -> None:
    """ValueError unless what was saved is of the shapes it is put into: one number would be copied to every place."""
    odd = [n for n, value in now.items() if n not in saved or saved[n].shape != value.shape]
    if odd:
        raise ValueError(f"{odd[0]} is missing or of another shape")
