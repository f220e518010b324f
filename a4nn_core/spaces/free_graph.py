"""The search space of large-scale evolution (Real et al., "Large-scale evolution of image classifiers", ICML
2017, arXiv 1703.01041): any graph of convolutions, changed edit by edit.

Vertices are images, edges are convolutions or identities. What reaches a vertex is added up in the size of
its first edge: other inputs are resized, and their channels cut off or filled up with zeros. A vertex may
be followed by batch normalisation and a rectified linear unit; the last one is averaged and classified.
Vertices and edges keep their numbers for as long as they live, so that networks can hand on their weights.

A genome is ``{"vertices": [{"id": 0, "relu": false}, ...], "edges": [{"id": 0, "from": 0, "to": 1,
...}]}``; the first vertex is the input, the last one the output, and edges lead to later vertices. The
published search began with networks without any convolution. As no network is trained twice here, random
genomes are such networks that have undergone a few edits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from a4nn_core.component import Unit
from a4nn_core.errors import BadInput
from a4nn_core.spaces.architecture import Architecture, Graph, Layer, Shape
from a4nn_core.spaces.base import FreeSpace, Genome, Mutant

VERTEX = {"id", "relu", "start"}
"""members of a vertex; start is how its batch normalisation begins"""
EDGE = {"id", "from", "to", "channels", "height", "width", "stride", "start"}
"""members of an edge; its channels are 0 if it is an identity, and start is how its weights begin"""
ATTEMPTS = 20
"""edits that are tried until one can be done"""


class FreeGraph(FreeSpace):
    """Graphs of convolutions that begin as next to nothing and grow by edits."""

    name: Literal["free-graph"] = "free-graph"
    first: Annotated[int, Unit("channels")] = Field(default=16, ge=1)
    """channels of a convolution that reads the image itself"""
    most_channels: Annotated[int, Unit("channels")] = Field(default=256, ge=1)
    """channels that a convolution has at most"""
    most_vertices: Annotated[int, Unit("vertices")] = Field(default=40, ge=3)
    """vertices that a network has at most"""
    most_side: Annotated[int, Unit("pixels")] = Field(default=7, ge=1)
    """height and width of a kernel at most, in pixels"""
    edits: Annotated[int, Unit("edits")] = Field(default=6, ge=1)
    """edits that a random genome has undergone at most"""

    def sample(self, rng: np.random.Generator) -> Genome:
        genome: Genome = {
            "vertices": [_vertex(0), _vertex(1)],
            "edges": [_edge(0, 0, 1)],
        }
        for _ in range(int(rng.integers(1, self.edits + 1))):
            genome = self.mutate(genome, rng).genome
        return genome

    def mutate(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """One of the eight edits of the paper that change the graph, drawn uniformly from those that can be
        done; the other three (learning rate, training on, fresh weights) are the strategy's."""
        edits: list[tuple[str, Callable[[_Edited], bool]]] = [
            ("insert convolution", self._insert_convolution),
            ("remove convolution", self._remove_convolution),
            ("alter stride", self._alter_stride),
            ("alter channels", self._alter_channels),
            ("alter filter size", self._alter_filter),
            ("insert one-to-one", self._insert_identity),
            ("add skip", self._add_skip),
            ("remove skip", self._remove_skip),
        ]
        for _ in range(ATTEMPTS):
            name, edit = edits[int(rng.integers(len(edits)))]
            edited = _Edited(copy.deepcopy(genome), rng)
            if edit(edited):
                return Mutant(edited.genome, name)
        return Mutant(copy.deepcopy(genome), "no change")

    def morph(self, genome: Genome, rng: np.random.Generator) -> Mutant:
        """A network that computes what the other one did, if it inherits its weights (``Candidate.morph``):
        deeper by a convolution that begins as the identity, wider by new channels that nothing reads yet, or
        with a connection that begins with zeros. Drawn uniformly from those that can be done."""
        edits: list[tuple[str, Callable[[_Edited], bool]]] = [
            ("deeper", self._deeper),
            ("wider", self._wider),
            ("skip", self._skip),
        ]
        for _ in range(ATTEMPTS):
            name, edit = edits[int(rng.integers(len(edits)))]
            edited = _Edited(copy.deepcopy(genome), rng)
            if edit(edited):
                return Mutant(edited.genome, name)
        return Mutant(copy.deepcopy(genome), "no change")

    def _deeper(self, on: _Edited) -> bool:
        vertices = on.genome["vertices"]
        # behind a rectified linear unit, whose output another one passes on unchanged
        places = [place for place, vertex in enumerate(vertices[:-1]) if vertex["relu"]]
        if not places or len(vertices) >= self.most_vertices:
            return False
        place = places[int(on.rng.integers(len(places)))]
        before, new = vertices[place]["id"], _vertex(on.free("vertices"), relu=True, start="identity")
        side = min(3, self.most_side)
        edge = _edge(on.free("edges"), before, new["id"])
        edge |= {"channels": on.channels(before, 0), "height": side, "width": side, "start": "identity"}
        if not edge["channels"] or side % 2 == 0:
            return False
        for other in on.genome["edges"]:
            if other["from"] == before:
                other["from"] = new["id"]
        vertices.insert(place + 1, new)
        on.genome["edges"].append(edge)
        return True

    def _wider(self, on: _Edited) -> bool:
        edge = on.convolution()
        if edge is None or 2 * edge["channels"] > self.most_channels or on.reaches_a_sum(edge):
            return False
        edge["channels"] *= 2
        return True

    def _skip(self, on: _Edited) -> bool:
        if not self._add_skip(on):
            return False
        edge = on.genome["edges"][-1]
        edge |= {"channels": on.channels(edge["to"], 0), "start": "zero"}
        return bool(edge["channels"])

    # edits: each changes the genome and returns whether it could be done

    def _insert_convolution(self, on: _Edited) -> bool:
        edge = on.split(self.most_vertices, relu=bool(on.rng.integers(2)))
        if edge is None:
            return False
        stride = int(on.rng.integers(1, 3))
        # as many channels as its input; 0 stands for that until the image is known
        edge.update(channels=min(on.channels(edge["from"], self.first), self.most_channels), stride=stride)
        edge.update(height=min(3, self.most_side), width=min(3, self.most_side))
        return True

    def _insert_identity(self, on: _Edited) -> bool:
        return on.split(self.most_vertices, relu=bool(on.rng.integers(2))) is not None

    def _remove_convolution(self, on: _Edited) -> bool:
        edge = on.convolution()
        if edge is None:
            return False
        edge.update(_edge(edge["id"], edge["from"], edge["to"]))
        return True

    def _alter_stride(self, on: _Edited) -> bool:
        edge = on.convolution()
        if edge is None:
            return False
        edge["stride"] = {1: 2, 2: (1, 4)[int(on.rng.integers(2))], 4: 2}[edge["stride"]]
        return True

    def _alter_channels(self, on: _Edited) -> bool:
        edge = on.convolution()
        if edge is None:
            return False
        before = edge["channels"]
        after = int(on.rng.integers(max(1, before // 2), min(2 * before, self.most_channels) + 1))
        edge["channels"] = after
        return bool(after != before)

    def _alter_filter(self, on: _Edited) -> bool:
        edge = on.convolution()
        if edge is None:
            return False
        side = ("height", "width")[int(on.rng.integers(2))]
        after = edge[side] + (-2, 2)[int(on.rng.integers(2))]
        if not 1 <= after <= self.most_side:
            return False
        edge[side] = after
        return True

    def _add_skip(self, on: _Edited) -> bool:
        order = [vertex["id"] for vertex in on.genome["vertices"]]
        there = {(edge["from"], edge["to"]) for edge in on.genome["edges"]}
        free = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if (a, b) not in there]
        if not free:
            return False
        source, target = free[int(on.rng.integers(len(free)))]
        on.genome["edges"].append(_edge(on.free("edges"), source, target))
        return True

    def _remove_skip(self, on: _Edited) -> bool:
        skips = [e for e in on.genome["edges"] if e is not on.primary(e["to"])]
        if not skips:
            return False
        gone = skips[int(on.rng.integers(len(skips)))]
        on.genome["edges"] = [edge for edge in on.genome["edges"] if edge is not gone]
        return True

    # checking and decoding

    def check(self, genome: Genome) -> None:
        if not isinstance(genome, dict) or set(genome) != {"vertices", "edges"}:
            raise BadInput(f"genome {genome!r} has not the members vertices and edges")
        vertices, edges = genome["vertices"], genome["edges"]
        if not isinstance(vertices, list) or not 2 <= len(vertices) <= self.most_vertices:
            raise BadInput(f"genome has no list of 2 to {self.most_vertices} vertices")
        for vertex in vertices:
            if not isinstance(vertex, dict) or set(vertex) != VERTEX or not _whole(vertex["id"], 0):
                raise BadInput(f"genome vertex {vertex!r} has not a number id, and relu and start")
            if not isinstance(vertex["relu"], bool) or vertex["start"] not in ("usual", "identity"):
                raise BadInput(
                    f"genome vertex {vertex['id']} has relu = {vertex['relu']!r}, start = {vertex['start']!r}"
                )
        order = {vertex["id"]: place for place, vertex in enumerate(vertices)}
        if not isinstance(edges, list):
            raise BadInput("genome has no list of edges")
        for edge in edges:
            self._check_edge(edge, order)
        for what, known in (("vertex", vertices), ("edge", edges)):
            if len({one["id"] for one in known}) < len(known):
                raise BadInput(f"genome has a number of a {what} twice")
        fed = {edge["to"] for edge in edges}
        lonely = [vertex["id"] for vertex in vertices[1:] if vertex["id"] not in fed]
        if lonely:
            raise BadInput(f"genome vertex {lonely[0]} is reached by no edge")

    def _check_edge(self, edge: Any, order: dict[int, int]) -> None:
        if not isinstance(edge, dict) or set(edge) != EDGE:
            raise BadInput(f"genome edge {edge!r} has not the members {', '.join(sorted(EDGE))}")
        ranges = {
            "id": (0, None),
            "channels": (0, self.most_channels),
            "height": (1, self.most_side),
            "width": (1, self.most_side),
        }
        for name, (least, most) in ranges.items():
            if not _whole(edge[name], least, most):
                raise BadInput(f"genome edge {edge['id']} has {name} = {edge[name]!r}")
        if edge["stride"] not in (1, 2, 4) or isinstance(edge["stride"], bool):
            raise BadInput(f"genome edge {edge['id']} has stride = {edge['stride']!r}, not 1, 2 or 4")
        odd = edge["height"] % 2 and edge["width"] % 2
        if edge["start"] not in ("usual", "zero") and not (edge["start"] == "identity" and odd):
            raise BadInput(f"genome edge {edge['id']} cannot have start = {edge['start']!r}")
        ends = [edge["from"], edge["to"]]
        if not all(_whole(end, 0) and end in order for end in ends) or order[ends[0]] >= order[ends[1]]:
            raise BadInput(
                f"genome edge {edge['id']} from {ends[0]!r} to {ends[1]!r} leads to no later vertex"
            )

    def decode(self, genome: Genome, input_shape: Shape, classes: int) -> Architecture:
        if classes < 2:
            raise BadInput(f"a classifier needs two classes or more, not {classes}")
        self.check(genome)
        builder = _Builder(Graph(input_shape))
        first, *others = genome["vertices"]
        made = {first["id"]: _Image(0, *input_shape)}
        leads = _leading(genome)
        for vertex in others:
            if vertex["id"] not in leads:
                continue  # nothing reads it
            incoming = [edge for edge in genome["edges"] if edge["to"] == vertex["id"]]
            made[vertex["id"]] = builder.vertex(vertex, [(edge, made[edge["from"]]) for edge in incoming])
        last = made[others[-1]["id"]]
        at = builder.graph.add(Layer("global_average_pool", last.channels, label="average"), last.layer)
        builder.graph.add(Layer("linear", classes, bias=True, label="classify"), at)
        return builder.graph.done()


def _edge(number: int, source: int, target: int) -> dict[str, Any]:
    """An edge that is an identity."""
    size = {"channels": 0, "height": 1, "width": 1, "stride": 1}
    return {"id": number, "from": source, "to": target, **size, "start": "usual"}


def _vertex(number: int, relu: bool = False, start: str = "usual") -> dict[str, Any]:
    return {"id": number, "relu": relu, "start": start}


def _whole(value: object, least: int, most: int | None = None) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return whole and (most is None or value <= most)  # type: ignore[operator]


def _leading(genome: Genome) -> set[int]:
    """The vertices from which the last one can be reached."""
    leads = {genome["vertices"][-1]["id"]}
    for vertex in reversed(genome["vertices"]):
        if vertex["id"] in leads:
            leads |= {edge["from"] for edge in genome["edges"] if edge["to"] == vertex["id"]}
    return leads


class _Edited:
    """A genome that is being changed."""

    def __init__(self, genome: Genome, rng: np.random.Generator) -> None:
        self.genome = genome
        self.rng = rng

    def free(self, what: Literal["vertices", "edges"]) -> int:
        """A number that no vertex or edge has: greater than all of them."""
        return 1 + max(int(one["id"]) for one in self.genome[what])

    def primary(self, vertex: int) -> dict[str, Any]:
        """The edge whose size a vertex has: the first that leads to it."""
        return next(edge for edge in self.genome["edges"] if edge["to"] == vertex)

    def convolution(self) -> dict[str, Any] | None:
        """A random convolution; None if there is none."""
        found = [edge for edge in self.genome["edges"] if edge["channels"]]
        return found[int(self.rng.integers(len(found)))] if found else None

    def channels(self, vertex: int, of_input: int) -> int:
        """Channels of a vertex; those of the image are not known to a genome."""
        while vertex != self.genome["vertices"][0]["id"]:
            edge = self.primary(vertex)
            if edge["channels"]:
                return int(edge["channels"])
            vertex = edge["from"]
        return of_input

    def reaches_a_sum(self, edge: dict[str, Any]) -> bool:
        """Whether new channels of an edge would be added to old ones of another: an identity carries them to
        a vertex that has its channels from elsewhere."""
        carrying = {edge["to"]} if self.primary(edge["to"]) is edge else set()
        for vertex in self.genome["vertices"]:
            if vertex["id"] not in carrying:
                continue
            for other in self.genome["edges"]:
                if other["from"] == vertex["id"] and not other["channels"]:
                    if self.primary(other["to"]) is not other:
                        return True
                    carrying.add(other["to"])
        return False

    def split(self, most: int, relu: bool) -> dict[str, Any] | None:
        """Put a vertex before a random one, on its primary edge, which then leads on from the new vertex.

        Returns:
            the new edge, an identity that leads to the new vertex; None if there are ``most`` vertices.
        """
        vertices = self.genome["vertices"]
        if len(vertices) >= most:
            return None
        place = int(self.rng.integers(1, len(vertices)))
        after = self.primary(vertices[place]["id"])
        new = _vertex(self.free("vertices"), relu)
        edge = _edge(self.free("edges"), after["from"], new["id"])
        after["from"] = new["id"]
        vertices.insert(place, new)
        self.genome["edges"].append(edge)
        return edge


class _Image(NamedTuple):
    """The layer that makes a tensor, and its shape."""

    layer: int
    channels: int
    height: int
    width: int


class _Builder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def add(self, op: str, image: _Image, label: str, channels: int | None = None, **how: Any) -> _Image:
        channels = channels or image.channels
        layer = self.graph.add(Layer(op, channels, label=label, **how), image.layer)
        return image._replace(layer=layer, channels=channels)

    def vertex(self, vertex: dict[str, Any], incoming: list[tuple[dict[str, Any], _Image]]) -> _Image:
        title = f"node {vertex['id']}"
        images = [self.edge(edge, image) for edge, image in incoming]
        first, *others = images
        if others:
            fitted = [
                self.fitted(image, first, f"edge {edge['id']}")
                for (edge, _), image in zip(incoming[1:], others, strict=True)
            ]
            sources = [image.layer for image in (first, *fitted)]
            layer = self.graph.add(Layer("add", first.channels, label=f"{title} add"), sources)
            first = first._replace(layer=layer)
        if vertex["relu"]:
            how: dict[str, Any] = (
                {} if vertex["start"] == "usual" else {"settings": {"start": vertex["start"]}}
            )
            first = self.add("batch_norm", first, f"{title} norm", **how)
            first = self.add("relu", first, f"{title} relu")
        return first

    def edge(self, edge: dict[str, Any], image: _Image) -> _Image:
        if not edge["channels"]:
            return image
        # an image of one pixel in a direction cannot get any smaller
        stride = edge["stride"] if min(image.height, image.width) > 1 else 1
        how: dict[str, Any] = {"stride": stride, "settings": {"same": True}}
        if edge["width"] != edge["height"]:
            how["settings"]["width"] = edge["width"]
        if edge["start"] != "usual":
            how["settings"]["start"] = edge["start"]
        label = f"edge {edge['id']} conv"
        made = self.add("conv", image, label, edge["channels"], kernel=edge["height"], **how)
        height, width = ((side - 1) // stride + 1 for side in (image.height, image.width))
        return made._replace(height=height, width=width)

    def fitted(self, image: _Image, wanted: _Image, title: str) -> _Image:
        """An image in the size of another one."""
        if (image.height, image.width) != (wanted.height, wanted.width):
            size = {"height": wanted.height, "width": wanted.width}
            image = self.add("resize", image, f"{title} resize", settings=size)._replace(**size)
        if image.channels != wanted.channels:
            image = self.add("fit_channels", image, f"{title} channels", wanted.channels)
        return image
