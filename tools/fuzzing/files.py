"""Targets of binary files and whole folders: models, deposits, tables of a commons.

An input of a folder is the path of one of its files, a newline, and what that file holds instead.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis.strategies import DrawFn, SearchStrategy
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from a4nn_core.commons import Commons
from a4nn_core.commons.check import check
from a4nn_core.commons.schema import TABLES
from a4nn_core.publish.deposit.build import Settings, build
from a4nn_core.publish.deposit.files import MANIFEST, paths_in, write_manifest
from a4nn_core.publish.deposit.metadata import read_metadata
from a4nn_core.publish.deposit.restore import restore
from a4nn_core.publish.models.classify import Classifier
from a4nn_core.publish.models.onnx_model import METADATA
from fuzzing.changes import SCALARS, bytes_changed, changed, csv_changed, json_changed
from fuzzing.records import COMMONS, FIXTURES, SEARCHED
from fuzzing.target import Target, each


def _as_input(folder: Path, path: str) -> bytes:
    return path.encode() + b"\n" + (folder / path).read_bytes()


def file_changed(draw: DrawFn, data: bytes) -> bytes:
    """One file of a folder, changed in its structure."""
    path, _, content = data.partition(b"\n")
    forms = {b"parquet": parquet_changed, b"json": json_changed, b"csv": csv_changed}
    form = forms.get(path.rpartition(b".")[2], bytes_changed)
    return path + b"\n" + form(draw, content)


def _put(folder: Path, data: bytes) -> str:
    """Put an input into its place; returns its path, that of another file if changes damaged it."""
    path, _, content = data.partition(b"\n")
    known = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    name = path.decode(errors="replace")
    name = name if name in known else known[len(data) % len(known)]
    (folder / name).unlink()  # it is a link to the file that all inputs share
    (folder / name).write_bytes(content)
    return name


def parquet_changed(draw: DrawFn, data: bytes) -> bytes:
    """A column left out, renamed or of another type, a cell or the rows changed, other metadata."""
    table = pq.read_table(io.BytesIO(data))
    names = table.column_names
    at = draw(st.integers(0, len(names) - 1))
    column = table.column(at)
    match draw(st.integers(0, 7)):
        case 0:
            table = table.remove_column(at)
        case 1:
            new = draw(st.text(max_size=6) | st.sampled_from(names))
            table = table.rename_columns([*names[:at], new, *names[at + 1 :]])
        case 2:
            table = pa.concat_tables([table] * draw(st.sampled_from([0, 2, 3])) or [table.slice(0, 0)])
        case 3:
            notes = {
                k: draw(st.binary(max_size=20)) for k in (table.schema.metadata or {"events_bytes": b""})
            }
            table = table.replace_schema_metadata(notes)
        case 4:
            kind = draw(
                st.sampled_from([pa.string(), pa.float64(), pa.int64(), pa.bool_(), pa.list_(pa.int32())])
            )
            table = table.set_column(at, names[at], pa.nulls(len(table), kind))
        case 5:
            cells = [draw(SCALARS.map(str)) for _ in range(min(len(table), 3))]
            cells += [str(cell) for cell in column.to_pylist()[len(cells) :]]
            table = _with(table, at, cells, pa.string())
        case _:
            same = pa.types.is_string(column.type)
            new = [draw(SCALARS) for _ in range(min(len(table), 3))]
            cells = [*(str(c) if same else c for c in new), *column.to_pylist()[len(new) :]]
            table = _with(table, at, cells, column.type)
    out = io.BytesIO()
    pq.write_table(table, out, compression=draw(st.sampled_from(["zstd", "none", "snappy"])))
    return out.getvalue()


def _with(table: pa.Table, at: int, cells: list[object] | list[str], kind: pa.DataType) -> pa.Table:
    """The table with other cells in one column; with none where they cannot be of its type."""
    try:
        made = pa.array(cells, kind)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        made = pa.nulls(len(cells), kind)
    return table.set_column(at, table.field(at).name, made)


class _Folder(Target):
    """One file of a folder at a time."""

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, file_changed, cls.seeds())


class Tables(_Folder):
    """The files of a commons."""

    name = "tables"
    what = "the Parquet tables of a commons, its archive and its JSON files"

    @classmethod
    def seeds(cls) -> list[bytes]:
        found = [
            p.relative_to(COMMONS).as_posix() for p in COMMONS.rglob("*") if p.suffix in (".parquet", ".json")
        ]
        return [_as_input(COMMONS, path) for path in sorted(found)]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.whole = shutil.copytree(COMMONS, folder / "whole")

    def run(self, data: bytes) -> None:
        # each in a folder of another name, as opened packs are remembered by path
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = shutil.copytree(self.whole, Path(name, "commons"), copy_function=os.link)
            _read_all(folder, _put(folder, data))


def _read_all(folder: Path, changed_file: str) -> None:
    """Read a commons in every way that concerns a file of it."""
    commons = Commons(folder)
    runs = commons.runs()
    concerned = [name for name in (*TABLES, "front") if name in changed_file] or [*TABLES, "front"]
    ways = {"runs": "run"} | {
        name: name for name in (*TABLES, "front") if name != "runs" and hasattr(commons, name)
    }
    each(
        [
            *(
                lambda run=run, name=name: getattr(commons, ways[name])(run)
                for run in runs
                for name in concerned
                if name in ways
            ),
            *(lambda name=name: commons.answer(f"select * from {name}") for name in concerned),
            lambda: check(folder),
        ]
    )


def _make_deposit(folder: Path) -> None:
    metadata = read_metadata(FIXTURES.parent / "data" / "deposit.toml")
    build(SEARCHED, ["searched"], folder, metadata, Settings(weights="none", models="none", unfinished=True))


class Deposits(_Folder):
    """Deposits, whose manifest is made to fit what was changed, unless it is the manifest."""

    name = "deposits"
    what = "deposits, read by a4nn import deposit"

    @classmethod
    @cache
    def seeds(cls) -> list[bytes]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "deposit")
            _make_deposit(folder)
            read = [path for path in paths_in(folder) if path.startswith("data/") or path == "deposit.json"]
            return [_as_input(folder, path) for path in [*read, MANIFEST]]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.whole = folder / "whole"
        _make_deposit(self.whole)

    def run(self, data: bytes) -> None:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            deposit, commons = Path(name, "deposit"), Path(name, "commons")
            shutil.copytree(self.whole, deposit, copy_function=os.link)
            path = _put(deposit, data)
            if path != MANIFEST:
                write_manifest(deposit)
            restore(deposit, commons)
            _read_all(commons, path)


def _model() -> onnx.ModelProto:
    """A small model like those that ``a4nn publish`` exports: images of 8 x 8 in, scores of 2 classes out."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in (("kernel", (4, 1, 3, 3)), ("linear", (4, 2)))
    ]
    nodes = [
        helper.make_node("Conv", ["images", "kernel"], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["positive"]),
        helper.make_node("GlobalAveragePool", ["positive"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "linear"], ["scores"]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 8, 8])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 2])
    graph = helper.make_graph(nodes, "network", [images], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, {METADATA: json.dumps({"classes": ["open", "closed"], "input": [1, 8, 8]})})
    return model


_OPERATORS = ("Identity", "Add", "Loop", "If", "Reshape", "Expand", "Tile", "Conv", "Sqrt", "Range", "Gather")


def model_changed(draw: DrawFn, data: bytes) -> bytes:
    """A node, a weight, a size or the metadata of a model changed."""
    model = onnx.ModelProto.FromString(data)
    graph = model.graph
    node = graph.node[draw(st.integers(0, len(graph.node) - 1))]
    weight = graph.initializer[draw(st.integers(0, len(graph.initializer) - 1))]
    number = draw(st.sampled_from([0, -1, 1, 2, 7, 8, 2**20, 2**31, 2**40, 2**62]))
    match draw(st.integers(0, 9)):
        case 0 | 1 | 2:
            held = model.metadata_props[0]
            held.value = json_changed(draw, held.value.encode()).decode(errors="replace")
        case 3:
            node.op_type = draw(st.sampled_from(_OPERATORS))
        case 4:
            node.input[draw(st.integers(0, len(node.input) - 1))] = draw(
                st.sampled_from(["images", "kernel", "linear", "scores", "flat", ""])
            )
        case 5:
            weight.dims[draw(st.integers(0, len(weight.dims) - 1))] = number
        case 6:
            weight.raw_data = bytes_changed(draw, weight.raw_data)
        case 7:
            value = draw(st.sampled_from([graph.input[0], graph.output[0]]))
            dims = value.type.tensor_type.shape.dim
            dims[draw(st.integers(0, len(dims) - 1))].dim_value = number
        case 8:
            graph.node[0].attribute[0].ints[draw(st.integers(0, 3))] = number
        case _:
            graph.node.remove(node)
    return bytes(model.SerializeToString())


class Models(Target):
    """Models, and one image classified by them."""

    name = "models"
    what = "models, read by a4nn classify: ONNX"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.image = folder / "image.png"
        Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(self.image)

    @classmethod
    def seeds(cls) -> list[bytes]:
        return [_model().SerializeToString()]

    @classmethod
    def inputs(cls, corpus: Sequence[bytes]) -> SearchStrategy[bytes]:
        return changed(corpus, model_changed, cls.seeds())

    def run(self, data: bytes) -> None:
        model = self.folder / "model.onnx"
        model.write_bytes(data)
        list(Classifier(model).classify([self.image]))
