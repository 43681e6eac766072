"""The processes of one run. `torchrun --nproc-per-node 4 -m openwork train ...` starts several; each finds its place in the
environment, and code asks `world()`, which is a world of one where nothing was started so.

In training every process reads the same batches in the same order and works on its own contiguous share of the rows. A loss is a
mean over rows, so with each process's loss weighted by its share, gradients add up to those of one process; what is no mean
(a threshold over the batch, a squared mean) is put together first. Weights then stay equal on all processes, and the first alone
writes. Processes talk by `torch.distributed`: gloo on CPU, NCCL on CUDA. They must share one file system.
"""

import atexit
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float, Shaped
from torch import Tensor

from probe.errors import BadInput, Cancelled, Unavailable


class Share(NamedTuple):
    """The rows of a batch that one process works on, and their weight in means over the batch."""

    rows: slice
    weight: float


@dataclass(frozen=True)
class World:
    """This process's number and how many there are. All but `share` must be called by all of them, in the same order.

    In a world of one every method hands back what it was given.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def share(self, n: int) -> Share:
        """This process's part of n rows. Fewer rows than processes are not divided: all do all of them."""
        if n < self.size:
            return Share(slice(0, n), 1 / self.size)
        start, stop = n * self.rank // self.size, n * (self.rank + 1) // self.size
        return Share(slice(start, stop), (stop - start) / n)

    def sum(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The sum over all processes, in place."""
        return self._reduce(tensor, dist.ReduceOp.SUM)

    def lowest(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """The minimum over all processes, in place."""
        return self._reduce(tensor, dist.ReduceOp.MIN)

    def total(self, *counts: int) -> list[int]:
        """The sum over all processes of each count."""
        return list(counts) if self.size == 1 else self.sum(torch.tensor(counts, dtype=torch.int64)).tolist()

    def mean(self, values: Sequence[float], weight: float) -> list[float]:
        """Means over the batch of what each process found on its share."""
        if self.size == 1:
            return list(values)
        return self.sum(torch.tensor(values, dtype=torch.float64) * weight).tolist()

    def pooled(self, total: Float[Tensor, ""], rows: int) -> Float[Tensor, ""]:
        """What this process's total over its rows would be if they were like the whole batch's; the gradient is the total's own.

        So an expression of means over the batch has its value everywhere, and the processes' gradients add up to its gradient.
        """
        if self.size == 1:
            return total
        both = self.sum(torch.stack([total.detach().double(), total.new_tensor(rows, dtype=torch.float64)]))
        return total + ((both[0] * rows / both[1]).to(total) - total).detach()

    def join(self, mine: Shaped[Tensor, "n *width"]) -> Shaped[Tensor, "all *width"]:
        """Every process's rows, one after the other. A sum of parts padded with zeros, for sums work on all devices."""
        if self.size == 1:
            return mine
        counts = self.total(*(len(mine) if rank == self.rank else 0 for rank in range(self.size)))
        first, whole = sum(counts[: self.rank]), mine.new_zeros(sum(counts), *mine.shape[1:])
        whole[first : first + len(mine)] = mine.detach()
        return self.sum(whole)

    def send(self, tensors: Iterable[Tensor], source: int = 0) -> None:
        """Give every process the tensors of one of them, in place."""
        if self.size > 1:
            for tensor in tensors:
                with _reported(), _dense(tensor) as flat:
                    dist.broadcast(flat, source)

    def backward(self, loss: Float[Tensor, ""], weight: float, weights: Iterable[Tensor]) -> None:
        """The gradients of the loss of the whole batch. weight: of this process's share."""
        if self.size == 1:
            loss.backward()
            return
        (loss * weight).backward()
        for one in weights:
            if one.grad is not None:
                self.sum(one.grad)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        return flag if self.size == 1 else self.total(int(flag))[0] > 0

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Leave this block with an error in every process if it fails in one, so that none waits for one that is gone."""
        try:
            yield
        except BaseException:
            with suppress(Unavailable):
                self.any(True)
            raise
        if self.any(False):
            raise Cancelled("Another process of this run stopped, and so did this one. What was finished is kept.")

    def _reduce(self, tensor: Tensor, op: "dist.ReduceOp.RedOpType") -> Tensor:
        if self.size > 1:
            with _reported(), _dense(tensor) as flat:
                dist.all_reduce(flat, op)
        return tensor


@contextmanager
def _dense(tensor: Tensor) -> Iterator[Tensor]:
    """The same numbers lying together in memory, as the libraries want them; a matrix that is transposed does, seen so."""
    seen = tensor.detach()
    seen = seen.t() if seen.ndim == 2 and not seen.is_contiguous() else seen
    flat = seen.contiguous()
    yield flat
    if flat.data_ptr() != seen.data_ptr():
        seen.copy_(flat)


@contextmanager
def _reported() -> Iterator[None]:
    """Say what it means when another process does not answer."""
    try:
        yield
    except RuntimeError as error:
        raise Unavailable(
            f"Another process of this run is gone or does not answer ({str(error).splitlines()[0][:200]}). Start the run again "
            "with resume; what was finished is kept."
        ) from error


@cache
def world() -> World:
    """The processes of this run; where torchrun started several, they are connected when this is first called."""
    if not dist.is_available():
        return World()
    if not dist.is_initialized():
        if not {"RANK", "MASTER_ADDR"} <= os.environ.keys() or int(os.environ.get("WORLD_SIZE", "1")) < 2:
            return World()
        _connect()
    return World(dist.get_rank(), dist.get_world_size())


def _connect() -> None:
    # NCCL wants a GPU for each process; gloo carries the CPU's tensors, and the GPUs' where processes share one.
    enough = torch.cuda.device_count() >= int(os.environ.get("LOCAL_WORLD_SIZE", "1")) and dist.is_nccl_available()
    if torch.cuda.is_available():
        torch.cuda.set_device(local_device())
    # Its functions take the group that is there when it is imported as a default, and keep it from being destroyed for good.
    from torch.distributed.nn import functional  # noqa: F401  (an optimizer imports it, later)

    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() and enough else "gloo")
    atexit.register(_leave)


def _leave() -> None:
    """End the threads that carry messages while Python is whole; one that gives a tensor back later aborts the process."""
    # What nobody caught may hold a collective, and that the group.
    for name in ("last_exc", "last_value", "last_traceback"):
        vars(sys).pop(name, None)
    if dist.is_initialized():
        dist.destroy_process_group()


def local_device(asked: str | None = None) -> torch.device:
    """The device asked for; by default CUDA where there is one. Of several GPUs, the one LOCAL_RANK counts.

    Raises BadInput for a word that names no device, and Unavailable for a device that this machine lacks.
    """
    wanted = asked or ("cuda" if torch.cuda.is_available() else "cpu")
    local = os.environ.get("LOCAL_RANK")
    if wanted == "cuda" and local is not None and torch.cuda.is_available():
        return torch.device("cuda", int(local) % torch.cuda.device_count())
    return _at_hand(wanted)


def _at_hand(wanted: str) -> torch.device:
    """A device that is there, by its name."""
    try:
        device = torch.device(wanted)
    except (RuntimeError, TypeError) as error:
        raise BadInput(f"{str(wanted)[:80]!r} is no device; cpu, cuda, cuda:1 or mps were expected.") from error
    if device.type == "cpu":
        return device
    backend = {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)
    if backend is None:
        raise BadInput(f"Models do not run on the device {str(wanted)[:80]!r}; cpu, cuda, cuda:1 or mps were expected.")
    if not backend.is_available() or (device.index or 0) >= backend.device_count():
        raise Unavailable(f"This machine has no {wanted} device that torch can use. Leave --device out, or say cpu.")
    return device
