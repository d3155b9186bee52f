"""The same networks in PyTorch, channels last; prints images a second.

Autocast to bfloat16 where the CPU has it and that is quicker than float32, as steps of both tell.

Runs in an environment of its own that has PyTorch: python torch_models.py MODEL SIDE BATCH SECONDS
"""

import pathlib
import sys
import time
from collections.abc import Callable

import torch
from torch import nn


def sequential() -> nn.Module:
    """Returns the small network."""
    return nn.Sequential(
        *_convolution(1, 64), *_convolution(64, 64), nn.MaxPool2d(2),
        *_convolution(64, 32), *_convolution(32, 32), nn.MaxPool2d(2),
        nn.Flatten(), nn.LazyLinear(512), nn.ReLU(), nn.Linear(512, 10),
    )  # fmt: skip


def alexnet() -> nn.Module:
    """Returns the study's AlexNet."""
    return nn.Sequential(
        nn.Conv2d(1, 96, 11, 4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(96, 256, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(256, 384, 3), nn.ReLU(), nn.Conv2d(384, 384, 3), nn.ReLU(),
        nn.Conv2d(384, 256, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.4), nn.Dropout(0.4), nn.Dropout(0.4),
        nn.Linear(4096, 1000), nn.ReLU(), nn.Dropout(0.4), nn.Linear(1000, 10),
    )  # fmt: skip


def vgg16() -> nn.Module:
    """Returns configuration D."""
    layers: list[nn.Module] = []
    channels = 3
    for filters, repeats in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(repeats):
            layers += _convolution(channels, filters)
            channels = filters
        layers.append(nn.MaxPool2d(2))
    head = (nn.LazyLinear(4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), *head, nn.Dropout(0.5), nn.Linear(4096, 10))


def _convolution(inputs: int, filters: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, filters, 3, padding="same"), nn.ReLU()]


def main(name: str, side: int, batch: int, seconds: float) -> None:
    """Trains on random images for about the given time."""
    model = {"sequential": sequential, "alexnet": alexnet, "vgg16": vgg16}[name]()
    images = torch.rand(batch, 3 if name == "vgg16" else 1, side, side)
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,))
    model(images)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def step(bfloat16: bool) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    flags = set(pathlib.Path("/proc/cpuinfo").read_text().split())
    able = bool(flags & {"amx_bf16", "avx512_bf16"})
    bfloat16 = able and _seconds(lambda: step(True)) < _seconds(lambda: step(False))
    begun, steps = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        step(bfloat16)
        steps += 1
    rate = steps * batch / (time.perf_counter() - begun)
    print("bfloat16" if bfloat16 else "float32", rate)


def _seconds(step: Callable[[], None]) -> float:
    """Returns what the quickest of some steps takes, after one that sets up."""
    step()
    taken = []
    for _ in range(3):
        begun = time.perf_counter()
        step()
        taken.append(time.perf_counter() - begun)
    return min(taken)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
