"""A network that a4nn exported, from its .safetensors file, with torch and safetensors alone.

network = Network("mine-0007.safetensors")
scores = network(images)  # float32, (batch, channels, height, width), made as the network's card says
names = [network.classes[i] for i in scores.argmax(dim=1)]
"""

import json
from functools import reduce
from operator import getitem
from typing import Any

import torch
from safetensors import safe_open


class Network:
    """Weights, by name, and the steps that are computed with them: operations of PyTorch's ATen."""

    def __init__(self, path: str, device: str = "cpu") -> None:
        with safe_open(path, framework="pt", device=device) as file:
            about = json.loads(file.metadata()["a4nn"])
            self.weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        self.classes, self.steps = about["classes"], about["steps"]

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Class scores, shape (batch, classes); restored images, of a network that restores."""
        values: dict[str, Any] = {**self.weights, "images": images}

        def given(argument: Any) -> Any:
            if isinstance(argument, list):
                return [given(each) for each in argument]
            return values[argument["value"]] if isinstance(argument, dict) else argument

        for name, operation, arguments, options in self.steps:
            path = operation.split(".")
            compute: Any = getitem if path == ["getitem"] else reduce(getattr, path, torch.ops.aten)
            values[name] = compute(*given(arguments), **{key: given(value) for key, value in options.items()})
        scores: torch.Tensor = values[self.steps[-1][0]]
        return scores
