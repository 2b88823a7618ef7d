"""Models and checkpoints as safetensors: numbers and a JSON header, nothing that could be run."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow.fs as pafs
from safetensors import SafetensorError
from safetensors.torch import load, save

from reclust_spark.errors import InputError
from reclust_spark.gmvae.columns import Column
from reclust_spark.gmvae.network import GMVAE, Shape
from reclust_spark.gmvae.parquet import file_system
from reclust_spark.gmvae.rounds import Round, State

HEADER = "reclust_gmvae"
ENDING = ".safetensors"


def to_bytes(model: GMVAE) -> bytes:
    """Return a model with all that is needed to use it."""
    header = {
        "shape": model.shape._asdict(),
        "columns": [column._asdict() for column in model.heads.columns],
    }
    tensors = {name: value.cpu().contiguous() for name, value in model.state_dict().items()}
    return save(tensors, {HEADER: json.dumps(header)})


def from_bytes(blob: bytes, where: str) -> GMVAE:
    """Return the model of `to_bytes`.

    Parameters
    ----------
    blob : bytes
    where : str
        Named in the error.

    Raises
    ------
    InputError
        If it is cut short, or something else.
    """
    try:
        tensors, header = load(blob), _header(blob)
        shape = Shape(**header["shape"])
        shape = shape._replace(hidden=tuple(shape.hidden))
        columns = [Column(**c)._replace(start=tuple(c["start"])) for c in header["columns"]]
        model = GMVAE(shape, columns, np.zeros(shape.n_slots, np.float32), 1.0)
        model.load_state_dict(tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            where, f"holds no GMVAE of this project ({error})",
            "what `reclust train-gmvae` wrote", "run `reclust train-gmvae` again",
        ) from None  # fmt: skip
    return model.eval()


def _header(blob: bytes) -> dict[str, Any]:
    length = int.from_bytes(blob[:8], "little")
    return json.loads(json.loads(blob[8 : 8 + length])["__metadata__"][HEADER])


class FileKeeper:
    """Keeps the last checkpoint in a folder that all processes reach.

    Parameters
    ----------
    place : str
        A path, or a URI such as s3://bucket/folder.
    """

    def __init__(self, place: str) -> None:
        self.place = place

    def load(self) -> State | None:
        """Return the last one, if there is one."""
        files, kept = self._kept()
        if not kept:
            return None
        with files.open_input_stream(kept[-1]) as stream:
            blob = stream.read()
        return State(load(blob), _rounds(blob))

    def rounds(self) -> list[Round]:
        """Return the rounds of the last one, without reading its tensors."""
        files, kept = self._kept()
        if not kept:
            return []
        with files.open_input_file(kept[-1]) as opened:
            start = opened.read(8)
            return _rounds(start + opened.read(int.from_bytes(start, "little")))

    def save(self, state: State) -> None:
        """Keep one more, and drop those before it: written first, then given its name."""
        files, kept = self._kept()
        _, folder = file_system(self.place)
        files.create_dir(folder, recursive=True)
        tensors = {name: value.detach().cpu().clone() for name, value in state.tensors.items()}
        header = {HEADER: json.dumps({"rounds": state.rounds})}
        with files.open_output_stream(f"{folder}/next") as stream:
            stream.write(save(tensors, header))
        # a new name: not every file system moves a file over another
        files.move(f"{folder}/next", f"{folder}/{len(state.rounds):06d}{ENDING}")
        for path in kept:
            files.delete_file(path)

    def _kept(self) -> tuple[pafs.FileSystem, list[str]]:
        files, folder = file_system(self.place)
        found = files.get_file_info(pafs.FileSelector(folder, allow_not_found=True))
        return files, sorted(one.path for one in found if one.path.endswith(ENDING))


def _rounds(blob: bytes) -> list[Round]:
    return [Round(*one) for one in _header(blob)["rounds"]]
